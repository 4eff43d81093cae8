"""Learning rates over the epochs, as functions of the epoch and of what was monitored so far.

There is no state to store: a resumed run computes the same from its history.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from vaebench.registry.runs import Fall, Plateau, Reload, Renew, Schedule, Steps


@dataclass(frozen=True)
class Course:
    """What comes next: the first learning rate is multiplied by `factor` in the next epoch, and
    after each of its steps by `step_factor` again. The epoch begins with fresh optimisers
    (`renew`), or with these and the best weights (`reload`); or training is `over`."""

    factor: float = 1.0
    reload: bool = False
    over: bool = False
    renew: bool = False
    step_factor: float = 1.0


def course(
    schedule: Schedule | None, epochs_done: int, monitored: Sequence[float], steps: int = 1
) -> Course:
    """How training goes on after so many epochs of so many `steps`."""
    match schedule:
        case None:
            return Course()
        case Steps():
            return Course(schedule.factor ** (epochs_done // schedule.every))
        case Plateau():
            return Course(schedule.factor ** _falls(schedule, monitored))
        case Reload():
            decays, just_now = _decays(schedule, monitored)
            return Course(schedule.factor**decays, just_now, over=decays >= schedule.most)
        case Fall():
            factor = schedule.factor ** _fallen(schedule, monitored)
            return Course(factor, over=factor < schedule.least)
        case Renew():
            decays, just_now = _renewals(schedule, monitored)
            # A decay multiplies the rate that the steps before it have left.
            factor = schedule.factor**decays * schedule.step_factor ** (epochs_done * steps)
            over = decays >= schedule.most or factor < schedule.least
            return Course(factor, over=over, renew=just_now, step_factor=schedule.step_factor)


def _falls(schedule: Plateau, monitored: Sequence[float]) -> int:
    """How often the rate has fallen: after more than `patience` epochs without a value below the
    best by the relative threshold, counted anew after every fall."""
    falls = waited = 0
    best = float("inf")
    for value in monitored:
        # The threshold is relative to the size of the best value, which may be negative.
        if best == float("inf") or value < best - schedule.threshold * abs(best):
            best, waited = value, 0
        else:
            waited += 1
        if waited > schedule.patience:
            falls, waited = falls + 1, 0
    return falls


def _decays(schedule: Reload, monitored: Sequence[float]) -> tuple[int, bool]:
    """How often the rate has decayed, and whether it did so after the last epoch."""
    decays = waited = 0
    reference, just_now = float("inf"), False
    for epoch, value in enumerate(monitored, start=1):
        waited = waited + 1 if value > reference else 0
        reference = min(reference, value)
        just_now = waited >= schedule.patience and epoch >= (schedule.earliest or 0)
        if just_now:
            decays, waited = decays + 1, 0
            if schedule.reference == "last":
                reference = value
    return decays, just_now


def _renewals(schedule: Renew, monitored: Sequence[float]) -> tuple[int, bool]:
    """How often training was renewed, and whether it was after the last epoch."""
    renewals = failures = 0
    best, just_now = float("inf"), False
    for value in monitored:
        failures = 0 if value < best else failures + 1
        best = min(best, value)
        just_now = failures > schedule.patience
        if just_now:
            renewals, failures = renewals + 1, 0
    return renewals, just_now


def _fallen(schedule: Fall, monitored: Sequence[float]) -> int:
    """How many epochs the rate has been falling for."""
    best = float("inf")
    for epoch, value in enumerate(monitored, start=1):
        if value > best and epoch >= schedule.earliest:
            return len(monitored) - epoch + 1
        best = min(best, value)
    return 0
