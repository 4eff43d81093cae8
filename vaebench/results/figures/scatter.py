"""Maps of the latent space: codes of data by class, and samples of the prior."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from vaebench.registry.expansion import Expansion
from vaebench.registry.figure_spec import FigurePanel, FigureSpec
from vaebench.results.figures.drawing import Drawing, mark_scale, mathtext
from vaebench.results.figures.panels import Pictures, in_lines
from vaebench.store.store import Store

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# With these marks, colours that are alike to colour-blind readers have different shapes.
_CLASSES = (
    ("#332288", "o"),
    ("#e69f00", "^"),
    ("#117733", "^"),
    ("#882255", "o"),
    ("#0000ff", "^"),
    ("#ddcc77", "o"),
    ("#8c8c8c", "^"),
    ("#000000", "o"),
    ("#a000c0", "^"),
    ("#b00000", "o"),
    ("#ff33cc", "s"),
    ("#88bb88", "s"),
    ("#330044", "s"),
    ("#660000", "s"),
)
_MARKERS = "o", "^", "s"
_PRIOR = "#ff8ac4"
_SIZE, _AREA = 5.0, 30_000.0  # points squared: of one mark at most, of all marks together
_NAME, _LETTER = 0.5, 0.09  # inches: what a class takes in the legend, and each of its letters


def scatter(
    spec: FigureSpec, expansions: Mapping[str, Expansion], store: Store, scale: str
) -> Drawing:
    """Points in the plane, coloured by class (IGP, Figure 4; in lines, MAE, Figure 5), where there
    are any with samples of the prior in pink (AR-ELBO, Figures 2 and 3). The classes are called by
    the names of the first panel's data."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    pictures = Pictures(spec, expansions, store, scale)
    figure = Figure(layout="constrained")
    numbers: set[int] = set()
    for axis, panel in _places(figure, spec):
        points, labels = pictures.array(panel, "points"), pictures.array(panel, "labels")
        _show(axis, points, labels)
        axis.set_title(mathtext(panel.title))
        numbers |= set(labels.tolist())
    names = dict(enumerate(pictures.class_names(spec.panels[0])))
    classes = [number for number in sorted(numbers) if number >= 0]
    marks = [(names.get(number, str(number)), *_mark(number)) for number in classes]
    marks += [("prior", _PRIOR, "o")] if min(numbers) < 0 else []
    handles = [
        Line2D([], [], color=color, marker=marker, linestyle="none", markersize=5, label=label)
        for label, color, marker in marks
    ]
    longest = max(len(label) for label, _, _ in marks)
    most = max(1, int(figure.get_figwidth() / (_NAME + longest * _LETTER)))
    lines = -(-len(handles) // most)
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=-(-len(handles) // lines),
        fontsize=9,
        frameon=False,
        handletextpad=0.2,
        columnspacing=1.4,
    )
    mark_scale(figure, spec.id, scale)
    return Drawing(figure, pictures.statement())


def _places(figure: "Figure", spec: FigureSpec) -> Iterator[tuple["Axes", FigurePanel]]:
    """The places of the panels: those with the same `line` side by side."""
    lines = in_lines(spec.panels)
    longest, single = max(map(len, lines.values())), len(lines) == 1
    if single:
        figure.set_size_inches(4.2 * longest, 4.9)
    else:
        figure.set_size_inches(max(2.9 * longest, 4.2), 3.1 * len(lines) + 0.5)
    grid = figure.add_gridspec(len(lines), longest)
    for i, (line, panels) in enumerate(lines.items()):
        for j, panel in enumerate(panels):
            axis = figure.add_subplot(grid[i, j])
            if j == 0 and line:
                axis.set_ylabel(mathtext(line), fontsize="large")
            yield axis, panel


def _show(axis: "Axes", points: np.ndarray, labels: np.ndarray) -> None:
    """Points [N, 2] with labels [N]; -1 is the prior, which lies below the classes."""
    own = labels < 0
    size = min(_SIZE, _AREA / len(points))
    style: dict[str, Any] = {"s": size, "linewidths": 0, "rasterized": True}
    axis.scatter(points[own, 0], points[own, 1], color=_PRIOR, **style)
    for marker in _MARKERS:
        chosen = np.flatnonzero(~own & [_mark(number)[1] == marker for number in labels])
        colors = [_mark(labels[i])[0] for i in chosen]
        axis.scatter(points[chosen, 0], points[chosen, 1], c=colors, marker=marker, **style)
    axis.set(xticks=[], yticks=[], aspect="equal", adjustable="datalim", box_aspect=1)


def _mark(number: int) -> tuple[str, str]:
    """Colour and marker of a class."""
    return _CLASSES[number % len(_CLASSES)]
