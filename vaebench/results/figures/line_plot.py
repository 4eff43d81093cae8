"""Columns of tables against the numbers in the names of their rows, ours and the paper's."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from vaebench.errors import UserError
from vaebench.registry.expansion import Expansion
from vaebench.registry.figure_spec import FigureAxes, FigureSpec
from vaebench.registry.loading import published_cells
from vaebench.registry.published import Key, Printed
from vaebench.results.cells import measure
from vaebench.results.figures.drawing import Drawing, mark_scale, mathtext
from vaebench.results.measured import Measured
from vaebench.store.store import Store

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Cell = TypeVar("Cell", Measured, Printed)

# Distinct to colour-blind readers and in grey.
_MARKS = (("#0072b2", "o"), ("#d55e00", "s"), ("#009e73", "^"), ("#000000", "D"))
_LEVEL = "#666666"
_STYLES: dict[str, dict[str, Any]] = {
    "ours": {"linewidth": 1.6, "markersize": 4},
    "paper": {"linewidth": 1, "markersize": 4, "linestyle": "--", "fillstyle": "none"},
}
_TICKS = 5  # as many different numbers as have a tick each


class _Number(NamedTuple):
    """A value and its deviation over seeds, 0 where it has none."""

    value: float
    std: float


def line_plot(
    spec: FigureSpec, expansions: Mapping[str, Expansion], store: Store, scale: str
) -> Drawing:
    """Plots in lines, one a column and group: our values as solid curves, the paper's as dashed
    ones, with bars of one deviation over seeds where there is one.

    UserError, with the command that makes them, where none of a column's values is measured.
    """
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained")
    marks = _marks(spec.axes)
    seeds: set[int] = set()
    for plot, axes in _plots(figure, spec.axes):
        expansion = expansions[axes.table]
        cells = _shown(axes, measure(expansion, store))
        if not any(cell.state == "measured" for cell in cells.values()):
            option = "" if scale == "paper" else f" --scale {scale}"
            raise UserError(
                f"{spec.id}: nothing of {axes.column!r} of {axes.table} is measured yet; "
                f"`vaebench run {spec.id}{option}` does it"
            )
        printed = _shown(axes, published_cells(expansion.spec))
        _show(plot, axes, {"ours": _ours(cells), "paper": _papers(printed)}, marks)
        seeds |= {expansion.runs[run].seed for cell in cells.values() for run in cell.runs}
    figure.align_ylabels()
    _legend(figure, marks)
    mark_scale(figure, spec.id, scale)
    numbers = ", ".join(map(str, sorted(seeds)))
    return Drawing(figure, f"{scale} scale, seed{'s' if len(seeds) > 1 else ''} {numbers}")


def _marks(several: Iterable[FigureAxes]) -> dict[str, tuple[str, str]]:
    """Colour and marker of every curve, and of every level, which has no marker."""
    curves = dict.fromkeys(name for axes in several for name in axes.curves or axes.groups)
    marks = {name: _MARKS[i % len(_MARKS)] for i, name in enumerate(curves)}
    return marks | {axes.level: (_LEVEL, "") for axes in several if axes.level}


def _plots(figure: "Figure", several: Sequence[FigureAxes]) -> Iterator[tuple["Axes", FigureAxes]]:
    """The places of the plots: those with the same `line` side by side, over the same width."""
    names = dict.fromkeys(axes.line for axes in several)
    lines = [[axes for axes in several if axes.line == name] for name in names]
    longest = max(map(len, lines))
    single = len(lines) == 1
    height = 4.0 if single else 2.3 * len(lines) + 0.7
    figure.set_size_inches((4.0 if single else 2.9) * longest, height)
    columns = math.lcm(*map(len, lines))
    grid = figure.add_gridspec(len(lines), columns)
    # What all plots of a column share is said once.
    heads = [[(axes.title, axes.against) for axes in line] for line in lines]
    shared = all(others == heads[0] for others in heads)
    for i, line in enumerate(lines):
        wide = columns // len(line)
        for j, axes in enumerate(line):
            plot = figure.add_subplot(grid[i, j * wide : (j + 1) * wide])
            if i == 0 or not shared:
                plot.set_title(mathtext(axes.title))
            if i == len(lines) - 1 or not shared:
                plot.set_xlabel(mathtext(axes.against))
            if j == 0 and axes.line:
                plot.set_ylabel(mathtext(axes.line))
            yield plot, axes


def _show(
    plot: "Axes",
    axes: FigureAxes,
    values: Mapping[str, Mapping[Key, _Number]],
    marks: Mapping[str, tuple[str, str]],
) -> None:
    """The curves and the level of one plot, from the values by whose they are."""
    numbers: set[float] = set()
    heights: list[float] = []
    for name in axes.curves or axes.groups:
        color, marker = marks[name]
        for who, style in _STYLES.items():
            points = _curve(axes, name, values[who])
            xs, ys = [x for x, _ in points], [y.value for _, y in points]
            plot.plot(xs, ys, color=color, marker=marker, **style)
            _bars(plot, points, color)
            numbers |= set(xs)
            heights += ys
    for who, style in _STYLES.items() if axes.level else ():
        levels = [value.value for key, value in values[who].items() if key.row == axes.level]
        for height in levels:
            plot.axhline(height, color=_LEVEL, **style)
        heights += levels
    _scale(plot, "y", heights)
    _scale(plot, "x", numbers)
    if len(numbers) <= _TICKS:
        ticks = sorted(numbers)
        plot.set_xticks(ticks, [f"{x:g}" for x in ticks])
        plot.set_xticks([], minor=True)
    plot.grid(alpha=0.3)


def _bars(plot: "Axes", points: Sequence[tuple[float, _Number]], color: str) -> None:
    """One deviation up and down."""
    spread = [(x, y) for x, y in points if y.std]
    if spread:
        xs, ys = [x for x, _ in spread], [y.value for _, y in spread]
        plot.errorbar(xs, ys, [y.std for _, y in spread], fmt="none", ecolor=color, elinewidth=1)


def _shown(axes: FigureAxes, cells: Mapping[Key, Cell]) -> dict[Key, Cell]:
    """The cells of the plotted column and groups in rows that are drawn."""
    return {
        key: cell
        for key, cell in cells.items()
        if key.column == axes.column
        and key.group in axes.groups
        and (axes.point(key.row) is not None or key.row == axes.level)
    }


def _ours(cells: Mapping[Key, Measured]) -> dict[Key, _Number]:
    return {
        key: _Number(cell.value, cell.std or 0.0)
        for key, cell in cells.items()
        if isinstance(cell.value, int | float)
    }


def _papers(cells: Mapping[Key, Printed]) -> dict[Key, _Number]:
    return {
        key: _Number(cell.number, float(cell.std or 0))
        for key, cell in cells.items()
        if cell.number is not None
    }


def _curve(
    axes: FigureAxes, name: str, values: Mapping[Key, _Number]
) -> list[tuple[float, _Number]]:
    """The points of a curve by what their rows say, from left to right."""
    points = ((key.group, axes.point(key.row), value) for key, value in values.items())
    return sorted(
        (point[1], value) for group, point, value in points if point and name == (point[0] or group)
    )


def _scale(plot: "Axes", which: str, values: Iterable[float]) -> None:
    """A logarithmic scale where the values span two decades; linear around zero if one is not
    positive, as an estimate of a vanishing quantity may be."""
    sizes = sorted(abs(value) for value in values if value)
    if not sizes or sizes[-1] < 100 * sizes[0]:
        return
    set_scale = getattr(plot, f"set_{which}scale")
    if min(values) > 0:
        set_scale("log")
    else:
        set_scale("symlog", linthresh=10 ** math.floor(math.log10(sizes[-1] / 100)))


def _legend(figure: "Figure", marks: Mapping[str, tuple[str, str]]) -> None:
    """In one line where it fits, else ours above the paper's."""
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=color, marker=marker, label=f"{name}, {who}", **style)
        for name, (color, marker) in marks.items()
        for who, style in _STYLES.items()
    ]
    width = sum(0.5 + 0.075 * len(str(handle.get_label())) for handle in handles)
    columns = len(handles) if width < figure.get_figwidth() else len(marks)
    figure.legend(
        handles=handles, loc="outside lower center", ncols=columns, fontsize=9, frameon=False
    )
