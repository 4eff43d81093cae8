"""Small images in lines and columns: perturbed decodings, reconstructions, samples and
interpolations."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

import numpy as np

from vaebench.registry.expansion import Expansion
from vaebench.registry.figure_spec import FigurePanel, FigureSpec
from vaebench.results.figures.drawing import DPI, Drawing, mark_scale, mathtext, starts, text_width
from vaebench.results.figures.panels import Pictures
from vaebench.store.store import Store

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Lengths in dots of the finished picture, so that an image's pixel is a whole number of dots.
_MARGIN, _GAP, _WIDE_GAP = 12, 14, 34
_HEAD, _FONT = 30, 9
_IMAGE = 56

RED, BLUE = "#d62728", "#0057d9"


def perturbations(
    spec: FigureSpec, expansions: Mapping[str, Expansion], store: Store, scale: str
) -> Drawing:
    """An original, framed red, its reconstruction, framed blue, and decodings of the code with
    noise on it, one image a row (AR-ELBO, Figure 1)."""
    pictures = Pictures(spec, expansions, store, scale)

    def cell(panel: FigurePanel) -> "_Cell":
        first = pictures.array(panel, "originals"), pictures.array(panel, "reconstructions")
        decodings = pictures.array(panel, "decodings")  # [N, draws, H, W, …]
        images = np.concatenate([np.stack(first, axis=1), decodings], axis=1)
        return _Cell(images, {0: RED, 1: BLUE}, 2)

    return _draw(_Matrix(spec, cell, 20, scale), pictures)


def gallery(
    spec: FigureSpec, expansions: Mapping[str, Expansion], store: Store, scale: str
) -> Drawing:
    """One strip of images a method and block (AR-ELBO, Figures 4 and 5)."""
    pictures = Pictures(spec, expansions, store, scale)

    def cell(panel: FigurePanel) -> "_Cell":
        return _Cell(pictures.array(panel, panel.array)[None], {}, 1)

    return _draw(_Matrix(spec, cell, 6, scale), pictures)


def image_blocks(
    spec: FigureSpec, expansions: Mapping[str, Expansion], store: Store, scale: str
) -> Drawing:
    """Squares of images, and interpolations, one a row, between their source, framed red, and
    their target, framed blue (DU-VAE, Figure S1)."""
    pictures = Pictures(spec, expansions, store, scale)

    def cell(panel: FigurePanel) -> "_Cell":
        images = pictures.array(panel, panel.array)
        if panel.array != "interpolations":
            return _Cell(_squared(images), {}, 2)
        ends = [pictures.array(panel, name)[:, None] for name in ("sources", "targets")]
        images = np.concatenate([ends[0], images, ends[1]], axis=1)
        return _Cell(images, {0: RED, images.shape[1] - 1: BLUE}, 2)

    return _draw(_Matrix(spec, cell, 20, scale), pictures)


def _squared(images: np.ndarray) -> np.ndarray:
    """Images [N, …] in about as many rows as columns, with white ones behind them."""
    columns = math.isqrt(len(images) - 1) + 1
    rows = -(-len(images) // columns)
    padded = np.full((rows * columns, *images.shape[1:]), 255, np.uint8)
    padded[: len(images)] = images
    return padded.reshape(rows, columns, *images.shape[1:])


@dataclass(frozen=True)
class _Cell:
    """Images [rows, columns, H, W] or [rows, columns, H, W, 3]; `frames` are colours by column, and
    `edge` is pixels of white on each side of an image: frames need two."""

    images: np.ndarray
    frames: Mapping[int, str]
    edge: int

    @property
    def zoom(self) -> int:
        """Dots a pixel."""
        height: int = self.images.shape[2]
        return max(1, _IMAGE // height)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width in dots."""
        rows, columns, height, width = self.images.shape[:4]
        high, wide = height + 2 * self.edge, width + 2 * self.edge
        return rows * high * self.zoom, columns * wide * self.zoom

    def picture(self) -> np.ndarray:
        """The images with white around each: [height, width, …]."""
        rows, columns, height, width, *channels = self.images.shape
        edge = self.edge
        high, wide = height + 2 * edge, width + 2 * edge
        spaced = np.full((rows, columns, high, wide, *channels), 255, np.uint8)
        spaced[:, :, edge:-edge, edge:-edge] = self.images
        return spaced.swapaxes(1, 2).reshape(rows * high, columns * wide, *channels)

    def show(self, axis: "Axes") -> None:
        """Draw images and frames."""
        from matplotlib.patches import Rectangle

        axis.imshow(self.picture(), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axis.set_axis_off()
        rows, _, height, width = self.images.shape[:4]
        for column, color in self.frames.items():
            for row in range(rows):
                left = column * (width + 2 * self.edge) + self.edge - 1
                top = row * (height + 2 * self.edge) + self.edge - 1
                axis.add_patch(
                    Rectangle(
                        (left, top), width + 1, height + 1, fill=False, color=color, linewidth=1.4
                    )
                )


class _Matrix:
    """Cells in lines and columns under heads in one storey or two, and where each lies, in dots.

    Between two lines are `gap` dots, between two columns more where the upper head changes.
    """

    def __init__(
        self, spec: FigureSpec, cell: Callable[[FigurePanel], _Cell], gap: int, scale: str
    ) -> None:
        self.name, self.scale = spec.id, scale
        self.heads = [(column.over, column.title) for column in spec.columns]
        self.labels = [line.line for line in spec.lines]
        self.cells: dict[tuple[int, int], _Cell] = {}
        for panel in spec.all_panels():
            head = panel.over, panel.title
            place = self.labels.index(str(panel.line)), self.heads.index(head)
            self.cells[place] = cell(panel)
        self.heights = [self._most(0, line) for line in range(len(self.labels))]
        titles = [text_width(title, _FONT) for _, title in self.heads]
        self.widths = [max(width, self._most(1, i)) for i, width in enumerate(titles)]
        gaps = [_GAP if one[0] == next_[0] else _WIDE_GAP for one, next_ in pairwise(self.heads)]
        left = _MARGIN + max(text_width(label, _FONT) for label in self.labels) + _GAP
        self.lefts = starts(left, self.widths, gaps)
        self.storeys = 2 if any(over for over, _ in self.heads) else 1
        self.top = _MARGIN + (0 if scale == "paper" else _HEAD)
        down = self.top + _HEAD * self.storeys
        self.tops = starts(down, self.heights, [gap] * (len(self.heights) - 1))
        self.width = self.lefts[-1] + self.widths[-1] + _MARGIN
        self.height = self.tops[-1] + self.heights[-1] + _MARGIN

    def _most(self, axis: int, number: int) -> int:
        """The greatest height of a line's cells (axis 0) or width of a column's (axis 1)."""
        sizes = (cell.size[axis] for at, cell in self.cells.items() if at[axis] == number)
        return max(sizes, default=0)

    def spans(self) -> Iterator[tuple[str, int, int]]:
        """The upper heads, with left and right end."""
        for over, found in groupby(range(len(self.heads)), lambda i: self.heads[i][0]):
            members = list(found)
            if over:
                right = self.lefts[members[-1]] + self.widths[members[-1]]
                yield over, self.lefts[members[0]], right


def _draw(matrix: _Matrix, pictures: Pictures) -> Drawing:
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    width, height = matrix.width, matrix.height
    figure = Figure(figsize=(width / DPI, height / DPI))

    def text(x: float, y: float, words: str, align: str) -> None:
        at = x / width, 1 - y / height
        figure.text(*at, mathtext(words), ha=align, va="center", fontsize=_FONT)

    for (line, column), cell in matrix.cells.items():
        high, wide = cell.size
        x = matrix.lefts[column] + (matrix.widths[column] - wide) // 2
        y = matrix.tops[line]
        box = x / width, 1 - (y + high) / height, wide / width, high / height
        cell.show(figure.add_axes(box))
    for label, top, high in zip(matrix.labels, matrix.tops, matrix.heights, strict=True):
        text(_MARGIN, top + high / 2, label, "left")
    titles = matrix.top + _HEAD * (matrix.storeys - 0.5)
    for (_, title), left, wide in zip(matrix.heads, matrix.lefts, matrix.widths, strict=True):
        text(left + wide / 2, titles, title, "center")
    rule = 1 - (matrix.top + _HEAD) / height
    for over, left, right in matrix.spans():
        text((left + right) / 2, matrix.top + _HEAD / 2, over, "center")
        ends = [left / width, right / width]
        figure.add_artist(Line2D(ends, [rule, rule], color="black", linewidth=0.8))
    mark_scale(figure, matrix.name, matrix.scale, y=1 - _MARGIN / 2 / height)
    return Drawing(figure, pictures.statement())
