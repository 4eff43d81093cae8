"""What matrix products reach here, in float32 by either route and in bfloat16."""

import time
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import linear

from vaebench.training.numerics import Numerics

# Rows, columns and inner size: a large square, then layers of IGP's model at k = 50 and at k = 1.
SHAPES = ((2048, 2048, 2048), (6400, 784, 200), (128, 784, 200), (128, 200, 784))
ROUNDS = 7
SECONDS = 0.05  # of one measurement
GAIN = 1.2  # from here oneDNN counts as faster


@dataclass(frozen=True)
class Rates:
    """GFLOP/s (best of the rounds) of one shape."""

    shape: tuple[int, int, int]
    default: float
    onednn: float
    bfloat16: float


@dataclass(frozen=True)
class Peak:
    """The rates of all shapes, and whether oneDNN's are float32's (as the start-up probe says)."""

    rates: tuple[Rates, ...]
    chosen: str

    @property
    def float32(self) -> float:
        """The highest float32 rate of any shape and route, in GFLOP/s."""
        exact = [rates.default for rates in self.rates]
        if self.chosen == "onednn":
            exact += [rates.onednn for rates in self.rates]
        return max(exact)

    @property
    def gains(self) -> bool:
        """Whether the chosen route is faster here than what everybody gets."""
        largest = self.rates[0]
        return self.chosen == "onednn" and largest.onednn >= GAIN * largest.default


def measure(chosen: Numerics) -> Peak:
    """Measure all shapes with the threads of `chosen`; the routes take turns."""
    routes = {route: Numerics("cpu", chosen.threads, route) for route in ("default", "onednn")}
    found = []
    for shape in SHAPES:
        rows, columns, inner = shape
        left, right = torch.randn(rows, inner), torch.randn(columns, inner)
        best = dict.fromkeys(("default", "onednn", "bfloat16"), 0.0)
        for _ in range(ROUNDS):
            for route, numerics in routes.items():
                numerics.apply()
                best[route] = max(best[route], _rate(left, right))
            best["bfloat16"] = max(best["bfloat16"], _rate(left.bfloat16(), right.bfloat16()))
        found.append(Rates(shape, **best))
    return Peak(tuple(found), chosen.matmul)


def _rate(left: Tensor, right: Tensor) -> float:
    """GFLOP/s of left right^T."""
    flop = 2 * left.numel() * len(right)
    repeats, seconds = 0, 0.0
    linear(left, right)
    started = time.perf_counter()
    while seconds < SECONDS:
        linear(left, right)
        repeats += 1
        seconds = time.perf_counter() - started
    return repeats * flop / seconds / 1e9
