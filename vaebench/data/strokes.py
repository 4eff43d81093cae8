"""Characters of four alphabets drawn in code, for runs that must not need a download."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaebench.data.draws import uniform

Floats = NDArray[np.floating[Any]]  # of float32

CHARACTERS, DRAWERS = 5, 20
_TRAIN = 15  # of the drawers
_SIDE = 28
_SEED = 20_260_124
_PIECES = 8  # straight pieces of a stroke
_MIDDLE = np.float32(13.5)


@dataclass(frozen=True)
class Alphabet:
    """How an alphabet's characters are written, in a square from 0 to 1.

    `first` is the start and the end of a straight stroke that all of them have (x, y, x, y); then
    come `strokes` of their own, bent by up to `bend` of their length, each beginning where the
    last one ended if they are `joined`.
    """

    strokes: int
    bend: float
    joined: bool
    first: tuple[float, float, float, float] | None = None


ALPHABETS = (
    Alphabet(strokes=2, bend=0.0, joined=False, first=(0.5, 0.0, 0.5, 1.0)),  # staves with twigs
    Alphabet(strokes=2, bend=1.3, joined=True),  # loops
    Alphabet(strokes=2, bend=0.7, joined=True, first=(0.0, 0.0, 1.0, 0.0)),  # hangs from a line
    Alphabet(strokes=4, bend=0.0, joined=True),  # angular, in one go
)


def make() -> dict[str, NDArray[Any]]:
    """The parts of `strokes-28x28`: images uint8 [N,28,28], labels [N] and class-groups.

    Additions, multiplications, divisions and roots of float32 alone, which round alike on every
    machine.
    """
    images = np.empty((len(ALPHABETS), CHARACTERS, DRAWERS, _SIDE, _SIDE), np.uint8)
    for number, alphabet in enumerate(ALPHABETS):
        traits = _Traits(_SEED + number)
        hands = _Hands(traits)
        for character in range(CHARACTERS):
            images[number, character] = hands.drawings(_strokes(alphabet, traits), traits)
    flat = images.reshape(-1, DRAWERS, _SIDE, _SIDE)
    labels = np.arange(len(flat)).repeat(DRAWERS).reshape(len(flat), DRAWERS)
    return {
        "train-images": flat[:, :_TRAIN].reshape(-1, _SIDE, _SIDE),
        "train-labels": labels[:, :_TRAIN].ravel(),
        "test-images": flat[:, _TRAIN:].reshape(-1, _SIDE, _SIDE),
        "test-labels": labels[:, _TRAIN:].ravel(),
        "class-groups": np.arange(len(ALPHABETS)).repeat(CHARACTERS),
    }


class _Traits:
    """Numbers between two values, drawn one after the other."""

    def __init__(self, seed: int) -> None:
        self._stream, self._at = uniform(1 << 14, seed), 0

    def vary(self, low: float, high: float, *shape: int) -> Floats:
        """The next numbers, of this shape."""
        size = int(np.prod(shape))
        self._at += size
        found = self._stream[self._at - size : self._at].reshape(shape)
        return np.float32(low) + np.float32(high - low) * found

    def choose(self, count: int) -> int:
        """One of 0 … count - 1."""
        return int(self.vary(0, count, 1)[0])


def _strokes(alphabet: Alphabet, traits: _Traits) -> Floats:
    """A character: the control points of its strokes, cubic Bézier curves, [strokes,4,2].

    It is as high or as wide as 1, and in the middle.
    """
    ends, bends = [], []
    if alphabet.first is not None:
        ends.append(alphabet.first)
        bends.append((0.0, 0.0))
    here = traits.choose(9)
    for _ in range(alphabet.strokes):
        if not alphabet.joined:
            here = traits.choose(9)
        there = (here + 1 + traits.choose(8)) % 9
        ends.append((here % 3 / 2, here // 3 / 2, there % 3 / 2, there // 3 / 2))
        bends.append(tuple(traits.vary(-alphabet.bend, alphabet.bend, 2).tolist()))
        here = there
    lines = np.array(ends, np.float32).reshape(-1, 2, 2)
    start, way = lines[:, 0], lines[:, 1] - lines[:, 0]
    aside = np.stack([-way[:, 1], way[:, 0]], 1)
    bent = np.array(bends, np.float32)
    third = way / np.float32(3)
    first, second = start + third + aside * bent[:, :1], lines[:, 1] - third + aside * bent[:, 1:]
    points = np.stack([start, first, second, lines[:, 1]], 1)
    curves = _curve(points.swapaxes(1, 2))
    low, high = curves.min(axis=(0, 2)), curves.max(axis=(0, 2))
    centred: Floats = (points - (low + high) / np.float32(2)) / (high - low).max()
    return centred


def _curve(points: Floats) -> Floats:
    """Points on Bézier curves [...,pieces + 1] by one coordinate of control points [...,4]."""
    t = np.arange(_PIECES + 1, dtype=np.float32) / np.float32(_PIECES)
    s = 1 - t
    a, b, c, d = (points[..., i, None] for i in range(4))
    curve: Floats = s * s * s * a + 3 * s * s * t * b + 3 * s * t * t * c + t * t * t * d
    return curve


class _Hands:
    """Those who write one alphabet: each has his size, slant and pen."""

    def __init__(self, traits: _Traits) -> None:
        self._size = traits.vary(13.0, 19.0, DRAWERS, 1)
        self._slant = traits.vary(-0.3, 0.3, DRAWERS, 1)
        self._pen = traits.vary(0.5, 0.9, DRAWERS, 1, 1)

    def drawings(self, strokes: Floats, traits: _Traits) -> NDArray[np.uint8]:
        """A character as each of them writes it, uint8 [drawers,28,28], rounded half up."""
        shaken = strokes + traits.vary(-0.08, 0.08, DRAWERS, *strokes.shape)
        across, down = shaken[..., 0], shaken[..., 1]  # [drawers,strokes,4]
        across = across - self._slant[..., None] * down
        shift = traits.vary(-2.0, 2.0, DRAWERS, 2, 1, 1)
        x = _curve(_MIDDLE + shift[:, 0] + across * self._size[..., None])
        y = _curve(_MIDDLE + shift[:, 1] + down * self._size[..., None])
        far = self._distance(x, y)
        ink = np.clip(self._pen + np.float32(0.5) - far, 0, 1)
        return (ink * np.float32(255) + np.float32(0.5)).astype(np.uint8)

    def _distance(self, x: Floats, y: Floats) -> Floats:
        """From every pixel to the nearest of the lines [drawers,strokes,points], in pixels."""
        column = np.arange(_SIDE, dtype=np.float32)
        nearest = np.full((DRAWERS, _SIDE, _SIDE), np.inf, np.float32)
        for stroke in range(x.shape[1]):
            for piece in range(_PIECES):
                (ax, bx), (ay, by) = (
                    line[:, stroke, piece : piece + 2].T[..., None, None] for line in (x, y)
                )
                dx, dy = bx - ax, by - ay
                px, py = column - ax, column[:, None] - ay
                along = (px * dx + py * dy) / (dx * dx + dy * dy + np.float32(1e-6))
                along = np.clip(along, 0, 1)
                off_x, off_y = px - along * dx, py - along * dy
                np.minimum(nearest, off_x * off_x + off_y * off_y, out=nearest)
        return np.sqrt(nearest)
