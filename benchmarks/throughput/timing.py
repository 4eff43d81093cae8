"""Two or more ways of the same work, timed in turn in one process."""

import resource
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Side:
    """One way of doing the work.

    `enter` sets the process up for it (matmul route, allocator) and `run` does the steps of one
    turn; `flop` are the matrix products' floating point operations of one step.
    """

    name: str
    enter: Callable[[], None]
    run: Callable[[], object]
    flop: float


@dataclass(frozen=True)
class Turn:
    """One timed turn: wall-clock and CPU seconds and page faults of all its steps."""

    seconds: float
    cpu: float
    faults: int


@dataclass(frozen=True)
class Spread:
    """Median and range of some values."""

    median: float
    low: float
    high: float
    count: int


def interleave(sides: Sequence[Side], rounds: int) -> dict[str, list[Turn]]:
    """The turns of every side by its name, after a round that is not kept.

    The order rotates from round to round. Every turn is run twice and the second timed, so that no
    side pays for caches and memory as the side before left them.
    """
    turns: dict[str, list[Turn]] = {side.name: [] for side in sides}
    for number in range(-1, rounds):
        for side in rotated(sides, max(number, 0)):
            side.enter()
            side.run()
            turn = _timed(side.run)
            if number >= 0:
                turns[side.name].append(turn)
    return turns


def rotated(sides: Sequence[Side], number: int) -> list[Side]:
    """The order of round `number`: each side is first in its turn."""
    start = number % len(sides)
    return [*sides[start:], *sides[:start]]


def ratios(baseline: Sequence[Turn], ours: Sequence[Turn]) -> list[float]:
    """How many times faster than the baseline of the same round, by the clock."""
    return [slow.seconds / fast.seconds for slow, fast in zip(baseline, ours, strict=True)]


def cpu_ratios(baseline: Sequence[Turn], ours: Sequence[Turn]) -> list[float]:
    """The same by CPU time, which other programs disturb less; waiting threads count in it."""
    return [slow.cpu / fast.cpu for slow, fast in zip(baseline, ours, strict=True)]


def spread(values: Sequence[float]) -> Spread:
    return Spread(statistics.median(values), min(values), max(values), len(values))


def _timed(run: Callable[[], object]) -> Turn:
    before, cpu, started = _faults(), time.process_time(), time.perf_counter()
    run()
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    return Turn(seconds, cpu, _faults() - before)


def _faults() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
