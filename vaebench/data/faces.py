"""Faces drawn in code, for runs that must not need a download: they are colourful and they vary."""

from collections.abc import Iterator
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaebench.data.draws import uniform

Plane = NDArray[np.floating[Any]]  # of float32
Size = Plane | float

ATTRIBUTES = (
    *("Dark_Hair", "Smiling", "Eyeglasses", "Wearing_Hat"),
    *("Pale_Skin", "Big_Eyes", "Beard", "Bright_Background"),
)
_SIZES = {"train": 1_200, "validation": 240, "test": 300}
_SEED = 20_260_103
_SIDE = 64
_CHUNK = 60  # images drawn at once: their planes stay in a processor's cache


def make() -> dict[str, NDArray[np.uint8]]:
    """The parts of `faces-64x64`: images [N,3,64,64] and labels [N,8], in the order of ATTRIBUTES.

    Additions, multiplications and divisions of float32 alone, which round alike on every machine.
    """
    total = sum(_SIZES.values())
    labels = (uniform(total * len(ATTRIBUTES), _SEED) < 0.5).reshape(total, len(ATTRIBUTES))
    images = np.empty((total, 3, _SIDE, _SIDE), np.uint8)
    traits = uniform(total * 32, _SEED + 1).reshape(total, 32)
    for start in range(0, total, _CHUNK):
        chunk = slice(start, start + _CHUNK)
        images[chunk] = _Drawing(labels[chunk], traits[chunk]).bytes()
    parts, start = {}, 0
    for split, size in _SIZES.items():
        parts[f"{split}-images"] = images[start : start + size]
        parts[f"{split}-labels"] = labels[start : start + size].astype(np.uint8)
        start += size
    return parts


class _Drawing:
    """Some faces on a canvas [3,n,64,64] in [0, 1], painted from the background to the front.

    `traits` [n,32] in [0, 1) are what varies beside the attributes, `labels` [n,8].
    """

    def __init__(self, labels: NDArray[np.bool_], traits: Plane) -> None:
        self._labels = labels
        self._traits: Iterator[Plane] = (traits[:, i, None, None] for i in count())
        self._canvas = np.empty((3, len(labels), _SIDE, _SIDE), np.float32)
        self._y = np.arange(_SIDE, dtype=np.float32)[:, None]
        self._x = np.arange(_SIDE, dtype=np.float32)[None, :]
        self._middle = 31.5 + self._vary(-2.5, 2.5)
        self._background()
        self._hair_behind()
        self._skin()
        self._features()
        self._hair_in_front()

    def bytes(self) -> NDArray[np.uint8]:
        """The images, uint8 [n,3,64,64], rounded half up."""
        return (self._canvas * 255 + 0.5).astype(np.uint8).swapaxes(0, 1)

    def _vary(self, low: float, high: float) -> Plane:
        """The next trait [n,1,1], between two values."""
        return low + (high - low) * next(self._traits)

    def _if(self, attribute: str) -> NDArray[np.bool_]:
        return self._labels[:, ATTRIBUTES.index(attribute), None, None]

    def _colour(self, one: tuple[float, ...], other: tuple[float, ...]) -> list[Plane]:
        """A colour between two, by the next trait: three times [n,1,1]."""
        share = next(self._traits)
        return [a + (b - a) * share for a, b in zip(one, other, strict=True)]

    def _either(self, attribute: str, yes: list[Plane], no: list[Plane]) -> list[Plane]:
        return [np.where(self._if(attribute), a, b) for a, b in zip(yes, no, strict=True)]

    def _paint(self, cover: Plane, colour: list[Plane], rows: slice = slice(None)) -> None:
        """Lay a colour over some rows of the canvas where `cover` [n,rows,64] is not zero."""
        for channel, value in zip(self._canvas, colour, strict=True):
            under = channel[:, rows]
            under += cover * (value - under)

    def _ellipse(
        self, x: Plane, y: Size, width: Size, height: Size, rows: slice = slice(None)
    ) -> Plane:
        """How much of each pixel an ellipse covers, softly at its edge; half axes in pixels."""
        across, down = (self._x - x) / width, (self._y[rows] - y) / height
        inside = 1 - (across * across + down * down)
        return np.clip(inside * (width * 0.5) + 0.5, 0, 1)

    def _background(self) -> None:
        bright = self._colour((0.72, 0.78, 0.95), (0.97, 0.92, 0.80))
        dark = self._colour((0.08, 0.16, 0.22), (0.34, 0.20, 0.16))
        top = self._either("Bright_Background", bright, dark)
        fall = self._vary(0.0, 0.4) * self._y / _SIDE
        fall = fall + self._vary(0.0, 0.3) * self._x / _SIDE
        for channel, value in zip(self._canvas, top, strict=True):
            channel[:] = value * (1 - fall)

    def _hair_behind(self) -> None:
        dark = self._colour((0.06, 0.05, 0.06), (0.30, 0.17, 0.10))
        light = self._colour((0.93, 0.80, 0.48), (0.75, 0.42, 0.20))
        self._hair = self._either("Dark_Hair", dark, light)
        self._width = self._vary(16.5, 19.5)
        self._height = self._vary(21.0, 24.5)
        length = self._vary(24.0, 38.0)
        width = self._width + self._vary(2.5, 5.0)
        hanging = self._ellipse(self._middle, length + 6, width, length)  # down from row 6
        self._paint(hanging, self._hair)

    def _skin(self) -> None:
        pale = self._colour((1.00, 0.90, 0.82), (0.98, 0.83, 0.74))
        brown = self._colour((0.80, 0.58, 0.42), (0.45, 0.29, 0.20))
        self._tone = self._either("Pale_Skin", pale, brown)
        shade = [tone * 0.82 for tone in self._tone]
        shirt = self._colour((0.75, 0.20, 0.25), (0.15, 0.35, 0.65))
        low = slice(44, 64)
        neck = self._ellipse(self._middle, 56, self._width / 2, 12, low)
        self._paint(neck, shade, low)
        shoulders = self._ellipse(self._middle, 72, 30, 13, low)
        self._paint(shoulders, shirt, low)
        for side in (-1, 1):
            ear = self._ellipse(self._middle + side * self._width, 35, 2.6, 4.5)
            self._paint(ear, shade)
        face = self._ellipse(self._middle, 35, self._width, self._height)
        beard = np.clip((self._y - 42) / 4, 0, 1) * self._if("Beard")
        self._paint(face, self._tone)
        self._paint(face * beard, [hair * 0.85 for hair in self._hair])

    def _features(self) -> None:
        eye_level, apart = self._vary(30.5, 33.5), self._width * self._vary(0.40, 0.47)
        size = np.where(self._if("Big_Eyes"), 4.4, 2.7).astype(np.float32)
        iris = self._colour((0.25, 0.45, 0.65), (0.30, 0.18, 0.08))
        white = [np.full_like(self._middle, 0.97)] * 3
        black = [np.full_like(self._middle, 0.05)] * 3
        band = slice(20, 46)
        glasses = self._if("Eyeglasses").astype(np.float32)
        for side in (-1, 1):
            x = self._middle + side * apart
            brow = self._ellipse(x, eye_level - size - 2, 4.8, 0.9, band)
            self._paint(brow, [hair * 0.7 for hair in self._hair], band)
            eye = self._ellipse(x, eye_level, size + 0.8, size * 0.7, band)
            self._paint(eye, white, band)
            ring = size * 0.6
            self._paint(self._ellipse(x, eye_level, ring, ring, band), iris, band)
            self._paint(self._ellipse(x, eye_level, ring / 2, ring / 2, band), black, band)
            outer = self._ellipse(x, eye_level, 7.2, 6.2, band)
            inner = self._ellipse(x, eye_level, 5.9, 4.9, band)
            self._paint((outer - inner) * glasses, black, band)
        bridge = np.clip(1.2 - np.abs(self._y[band] - eye_level), 0, 1)
        between = np.abs(self._x - self._middle) < apart - 6
        self._paint(bridge * between * glasses, black, band)
        self._nose_and_mouth()

    def _nose_and_mouth(self) -> None:
        band = slice(30, 60)
        shade = [tone * 0.72 for tone in self._tone]
        nose = self._ellipse(self._middle, 40, self._vary(1.8, 3.0), self._vary(2.6, 3.6), band)
        self._paint(nose * 0.7, shade, band)
        # A smile is bent upwards at its ends, and wide; without one the mouth is straight.
        bent = np.where(self._if("Smiling"), self._vary(0.050, 0.075), self._vary(-0.02, 0.0))
        width = np.where(self._if("Smiling"), 8.5, 5.5).astype(np.float32)
        off = self._x - self._middle
        curve = self._vary(47.5, 50.0) + 1.5 - bent * off * off
        thick = self._vary(1.3, 2.0) * (1 - off * off / (width * width))
        lips = self._colour((0.80, 0.30, 0.32), (0.60, 0.18, 0.20))
        mouth = np.clip(thick - np.abs(self._y[band] - curve) + 0.5, 0, 1)
        self._paint(mouth * (off * off < width * width), lips, band)

    def _hair_in_front(self) -> None:
        top = slice(0, 34)
        fringe = self._vary(15.0, 19.0)
        crown = self._ellipse(self._middle, 27, self._width + 2, 21, top)
        tilt = self._vary(-0.2, 0.2) * (self._x - self._middle)
        above = np.clip(fringe + tilt - self._y[top], 0, 1)
        self._paint(crown * above, self._hair, top)
        cloth = self._colour((0.85, 0.15, 0.20), (0.10, 0.55, 0.40))
        hat = self._if("Wearing_Hat").astype(np.float32)
        dome = self._ellipse(self._middle, 17, self._width + 2, 16, top)
        self._paint(dome * np.clip(17 - self._y[top], 0, 1) * hat, cloth, top)
        brim = self._ellipse(self._middle, 17, self._width + 8, 2.6, top)
        self._paint(brim * hat, [part * 0.7 for part in cloth], top)
