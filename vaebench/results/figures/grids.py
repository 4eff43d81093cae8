"""Square grids of images side by side."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from vaebench.errors import UserError
from vaebench.registry.expansion import Expansion
from vaebench.registry.figure_spec import FigurePanel, FigureSpec
from vaebench.results.figures.drawing import (
    DPI,
    Drawing,
    mark_scale,
    mathtext,
    starts,
    text_width,
)
from vaebench.results.figures.panels import Pictures, in_lines
from vaebench.store.store import Store

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Lengths in dots of the finished picture, so that an image's pixel is a whole number of dots.
_MARGIN, _GAP, _HEAD, _NAMES, _SIDE, _ABOVE = 14, 30, 36, 18, 30, 8
_GRID = 540  # wide, about
_TITLE, _NAME = 11, 6.5  # points
_BETWEEN_SETS = 2  # pixels


def image_grids(
    spec: FigureSpec, expansions: Mapping[str, Expansion], store: Store, scale: str
) -> Drawing:
    """Square grids of images in lines, one a panel (IGP, Figures 5 and 6; MAE, Figures 3 and 6), or
    one for panels under the same head, whose images take turns (MAE, Figures 2 and 4)."""
    from matplotlib.figure import Figure

    pictures = Pictures(spec, expansions, store, scale)
    lines = {
        line: list(_grids(spec, panels, pictures)) for line, panels in in_lines(spec.panels).items()
    }
    longest = max(map(len, lines.values()))
    widths = [max(row[i].width for row in lines.values() if i < len(row)) for i in range(longest)]
    heads = [_HEAD + max(_NAMES if grid.names else 0 for grid in row) for row in lines.values()]
    highest = [max(grid.size[0] for grid in row) for row in lines.values()]
    heights = [head + most for head, most in zip(heads, highest, strict=True)]
    lefts = starts(_MARGIN + (_SIDE if any(lines) else 0), widths, [_GAP] * len(widths))
    first = _MARGIN + (0 if scale == "paper" else _HEAD)
    tops = starts(first, heights, [_GAP] * len(heights))
    width, height = lefts[-1] + widths[-1] + _MARGIN, tops[-1] + heights[-1] + _MARGIN
    figure = Figure(figsize=(width / DPI, height / DPI))
    for (line, row), top, head in zip(lines.items(), tops, heads, strict=True):
        for grid, left, wide in zip(row, lefts, widths, strict=False):
            high, across = grid.size
            x, y = left + (wide - across) // 2, top + head
            box = x / width, 1 - (y + high) / height, across / width, high / height
            grid.show(figure.add_axes(box), head)
        if line:
            middle = top + head + row[0].size[0] / 2
            at = (_MARGIN + _SIDE / 4) / width, 1 - middle / height
            figure.text(*at, mathtext(line), rotation=90, ha="center", va="center", size=_TITLE)
    mark_scale(figure, spec.id, scale, y=1 - _MARGIN / height)
    return Drawing(figure, pictures.statement())


@dataclass(frozen=True)
class _Grid:
    """Images in a square under a title; `names` are those of the series that take turns in it, none
    where there is but one."""

    title: str
    names: tuple[str, ...]
    series: tuple[np.ndarray, ...]

    @cached_property
    def picture(self) -> np.ndarray:
        return take_turns(self.series) if self.names else tile(self.series[0])

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in dots."""
        height, width = self.picture.shape[:2]
        zoom = max(1, round(_GRID / width))
        return height * zoom, width * zoom

    @property
    def width(self) -> int:
        """In dots, with the title."""
        return max(self.size[1], text_width(self.title, _TITLE))

    def show(self, axis: "Axes", head: int) -> None:
        """The images, their names just above them, and the title in `head` dots."""
        axis.imshow(self.picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axis.set_axis_off()
        pad = (head - _HEAD + _ABOVE) * 72 / DPI
        axis.set_title(mathtext(self.title), fontsize=_TITLE, pad=pad)
        wide = self.series[0].shape[2]
        left = 0
        while self.names and left < self.picture.shape[1]:
            for i, name in enumerate(self.names):
                middle = left + (i + 0.5) * wide - 0.5
                axis.annotate(
                    mathtext(name),
                    (middle, -0.5),
                    (0, 2),  # points
                    textcoords="offset points",
                    ha="center",
                    fontsize=_NAME,
                    annotation_clip=False,
                )
            left += len(self.names) * wide + _BETWEEN_SETS


def _grids(spec: FigureSpec, panels: Sequence[FigurePanel], pictures: Pictures) -> Iterator[_Grid]:
    """One a panel, or one for those under the same head, in the order of the file."""
    groups: dict[object, list[FigurePanel]] = {}
    for i, panel in enumerate(panels):
        groups.setdefault(i if panel.over is None else panel.over, []).append(panel)
    for group in groups.values():
        series = tuple(pictures.array(panel, panel.array) for panel in group)
        over = group[0].over
        if over is None:
            yield _Grid(group[0].title, (), series)
            continue
        if len({images.shape for images in series}) > 1:
            shapes = " and ".join(str(images.shape) for images in series)
            raise UserError(f"{spec.id}: images under {over!r} cannot take turns: {shapes}")
        yield _Grid(over, tuple(panel.title for panel in group), series)


def tile(images: np.ndarray) -> np.ndarray:
    """Images [N, H, W] or [N, H, W, 3] in rows of about sqrt(N): [rows * H, columns * W, …]."""
    return _in_rows(images, _across(len(images)))


def take_turns(series: Sequence[np.ndarray]) -> np.ndarray:
    """Series of N images each as N sets of one image of each series, side by side; in rows that are
    as wide as `tile` makes them or a little wider, with white between the sets of a row."""
    sets = np.concatenate(series, axis=2)
    gap = np.full_like(sets[:, :, :_BETWEEN_SETS], 255)
    columns = -(-_across(len(series) * len(sets)) // len(series))
    return _in_rows(np.concatenate([sets, gap], axis=2), columns)[:, :-_BETWEEN_SETS]


def _across(count: int) -> int:
    """How many images a row of a square of so many has."""
    return math.isqrt(count - 1) + 1


def _in_rows(images: np.ndarray, columns: int) -> np.ndarray:
    """Images [N, H, W, …] from left to right, so many a row; black where there are no more."""
    count, height, width, *channels = images.shape
    rows = -(-count // columns)
    padded = np.zeros((rows * columns, *images.shape[1:]), images.dtype)
    padded[:count] = images
    grid = padded.reshape(rows, columns, height, width, *channels).swapaxes(1, 2)
    return grid.reshape(rows * height, columns * width, *channels)
