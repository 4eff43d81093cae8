"""Learning rates over the epochs, as functions of the epoch and of what was monitored so far.

There is no state to store: a resumed run computes the same rate from its history.
"""

from collections.abc import Sequence

from vaebench.registry.runs import Plateau, Steps


def rate_factor(schedule: Plateau | Steps, epochs_done: int, monitored: Sequence[float]) -> float:
    """What the first learning rate is multiplied by in the next epoch."""
    if isinstance(schedule, Steps):
        return schedule.factor ** (epochs_done // schedule.every)
    return schedule.factor ** _falls(schedule, monitored)


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
