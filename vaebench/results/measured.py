"""Our own number in one cell."""

from dataclasses import dataclass
from typing import Literal

State = Literal["measured", "not applicable", "missing", "failed", "diverged"]


@dataclass(frozen=True)
class Measured:
    """One measured cell.

    `std` is the population deviation over seeds where the column has one, or the deviation that its
    evaluation found itself. `seeds` of `wanted` seeds are in it; fewer is always shown. `runs` are
    the ids of the runs behind the value, `picked` the one of them that a best-of-n takes it from.
    """

    state: State
    value: float | str | None = None
    std: float | None = None
    seeds: int = 0
    wanted: int = 0
    runs: tuple[str, ...] = ()
    picked: str | None = None
