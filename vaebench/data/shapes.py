"""Coloured shapes and textures drawn in code, for runs that must not need a download."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaebench.data.draws import uniform

Plane = NDArray[np.floating[Any]]  # of float32

CLASSES = (
    *("disc", "ring", "square", "triangle", "cross", "crescent"),
    *("stripes", "checks", "dots", "circles"),
)
_SIZES = {"train": 300, "test": 100}
_SEED = 20_260_141
_SIDE = 32
_TRAITS = 24
_GRAIN = 0.03  # from the darkest to the brightest that a pixel is changed by


def make() -> dict[str, NDArray[np.uint8]]:
    """The parts of `shapes-32x32`: images [N,3,32,32] and labels [N], the classes in turn.

    Additions, multiplications, divisions and roots of float32 alone, which round alike on every
    machine.
    """
    total = sum(_SIZES.values())
    labels = (np.arange(total) % len(CLASSES)).astype(np.uint8)
    traits = uniform(total * _TRAITS, _SEED).reshape(total, _TRAITS)
    grain = uniform(total * 3 * _SIDE * _SIDE, _SEED + 1).reshape(3, total, _SIDE, _SIDE)
    canvas = _Drawing(labels, traits).canvas() + _GRAIN * (grain - np.float32(0.5))
    rounded = (np.clip(canvas, 0, 1) * 255 + 0.5).astype(np.uint8)  # half up
    images = np.ascontiguousarray(rounded.swapaxes(0, 1))
    train = _SIZES["train"]
    return {
        "train-images": images[:train],
        "train-labels": labels[:train],
        "test-images": images[train:],
        "test-labels": labels[train:],
    }


class _Drawing:
    """A figure on a ground, each of one colour, under a light from one side.

    `labels` [n] say which figure; `traits` [n,24] in [0, 1) are what varies beside it.
    """

    def __init__(self, labels: NDArray[np.uint8], traits: Plane) -> None:
        self._labels = labels
        self._traits: Iterator[Plane] = (traits[:, i, None, None] for i in count())
        column = np.arange(_SIDE, dtype=np.float32)
        self._right, self._down = column[None, :], column[:, None]

    def canvas(self) -> Plane:
        """The colours in [0, 1], [3,n,32,32]."""
        cover = np.clip(0.5 - self._outside(), 0, 1)
        across, down = self._direction()
        light = (across * (self._right - 15.5) + down * (self._down - 15.5)) / 22
        light = 1 + self._vary(0.1, 0.4) * (light - 1)  # 1 in one corner at most
        channels = []
        for _ in range(3):
            ground = self._vary(0, 1)
            figure = ground + self._vary(0.35, 0.65)  # in every channel far from the ground
            figure = figure - np.floor(figure)
            channels.append((ground + cover * (figure - ground)) * light)
        return np.stack(channels)

    def _vary(self, low: float, high: float) -> Plane:
        """The next trait [n,1,1], between two values."""
        return low + (high - low) * next(self._traits)

    def _direction(self) -> tuple[Plane, Plane]:
        """A unit vector, by the next two traits."""
        x, y = self._vary(-1, 1), self._vary(-1, 1)
        length = np.sqrt(x * x + y * y + np.float32(1e-6))
        return x / length, y / length

    def _outside(self) -> Plane:
        """How far each pixel is outside the figure [n,32,32]; inside it is below 0."""
        right = self._right - self._vary(12, 19)
        down = self._down - self._vary(12, 19)
        u, v = self._direction()
        x, y = right * u + down * v, down * u - right * v
        size, thick, period = self._vary(7, 11), self._vary(1.5, 2.8), self._vary(5, 9)
        far, bitten = _length(x, y), _length(x - size / 2, y)
        stripes, others = _stripes(x, period), _stripes(y, period)
        wide, high = np.abs(x), np.abs(y)
        figures = {
            "disc": far - size,
            "ring": np.abs(far - size) - thick,
            "square": np.maximum(wide, high) - size * 0.85,
            "triangle": np.maximum(y, wide * 0.866 - y / 2) - size * 0.6,
            "cross": np.minimum(
                np.maximum(wide - size, high - thick), np.maximum(high - size, wide - thick)
            ),
            "crescent": np.maximum(far - size, size * 0.85 - bitten),
            "stripes": stripes,
            "checks": np.maximum(np.minimum(stripes, others), -np.maximum(stripes, others)),
            "dots": _length(_apart(x, period), _apart(y, period)) - period / 3,
            "circles": _stripes(far, period),
        }
        chosen = np.empty_like(far)
        for number, name in enumerate(CLASSES):
            chosen[self._labels == number] = figures[name][self._labels == number]
        return chosen


def _length(x: Plane, y: Plane) -> Plane:
    length: Plane = np.sqrt(x * x + y * y)
    return length


def _apart(x: Plane, period: Plane) -> Plane:
    """How far from the middle of its period."""
    turns = x / period
    return np.abs(turns - np.floor(turns) - np.float32(0.5)) * period


def _stripes(x: Plane, period: Plane) -> Plane:
    """How far outside stripes that take half of the period."""
    return _apart(x, period) - period / 4
