"""Columns of tables against the numbers in the names of their rows, ours and the paper's."""

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

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

Cell = TypeVar("Cell", Measured, Printed)

# Distinct to colour-blind readers and in grey.
_MARKS = (("#0072b2", "o"), ("#d55e00", "s"), ("#009e73", "^"), ("#000000", "D"))
_STYLES: dict[str, dict[str, Any]] = {
    "ours": {"linewidth": 1.6, "markersize": 4},
    "paper": {"linewidth": 1, "markersize": 4, "linestyle": "--", "fillstyle": "none"},
}


def line_plot(
    spec: FigureSpec, expansions: Mapping[str, Expansion], store: Store, scale: str
) -> Drawing:
    """One plot a column: our values as solid lines, the paper's as dashed ones.

    UserError, with the command that makes them, where none of a column's values is measured.
    """
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    groups = list(dict.fromkeys(group for axes in spec.axes for group in axes.groups))
    marks = {group: _MARKS[i % len(_MARKS)] for i, group in enumerate(groups)}
    figure = Figure(figsize=(4.0 * len(spec.axes), 4.0), layout="constrained")
    plots = figure.subplots(1, len(spec.axes), squeeze=False)[0]
    seeds: set[int] = set()
    for plot, axes in zip(plots, spec.axes, strict=True):
        expansion = expansions[axes.table]
        cells = _shown(axes, measure(expansion, store))
        if not any(cell.state == "measured" for cell in cells.values()):
            option = "" if scale == "paper" else f" --scale {scale}"
            raise UserError(
                f"{spec.id}: nothing of {axes.column!r} of {axes.table} is measured yet; "
                f"`vaebench run {spec.id}{option}` does it"
            )
        printed = _shown(axes, published_cells(expansion.spec))
        ours: dict[Key, object] = {key: cell.value for key, cell in cells.items()}
        papers: dict[Key, object] = {key: cell.number for key, cell in printed.items()}
        _show(plot, axes, {"ours": ours, "paper": papers}, marks)
        seeds |= {expansion.runs[run].seed for cell in cells.values() for run in cell.runs}
    handles = [
        Line2D([], [], color=color, marker=marker, label=f"{group}, {who}", **style)
        for group, (color, marker) in marks.items()
        for who, style in _STYLES.items()
    ]
    columns = len(handles) if len(spec.axes) > 2 else 2
    figure.legend(
        handles=handles, loc="outside lower center", ncols=columns, fontsize=9, frameon=False
    )
    mark_scale(figure, spec.id, scale)
    numbers = ", ".join(map(str, sorted(seeds)))
    return Drawing(figure, f"{scale} scale, seed{'s' if len(seeds) > 1 else ''} {numbers}")


def _show(
    plot: "Axes",
    axes: FigureAxes,
    values: Mapping[str, Mapping[Key, object]],
    marks: Mapping[str, tuple[str, str]],
) -> None:
    """The lines of one plot, from the values by whose they are."""
    heights: list[float] = []
    for group in axes.groups:
        color, marker = marks[group]
        for who, style in _STYLES.items():
            points = _curve(axes, group, values[who])
            xs, ys = [x for x, _ in points], [y for _, y in points]
            plot.plot(xs, ys, color=color, marker=marker, **style)
            heights += ys
    _scale(plot, heights)
    plot.set(title=mathtext(axes.title), xlabel=mathtext(axes.against))
    plot.grid(alpha=0.3)


def _shown(axes: FigureAxes, cells: Mapping[Key, Cell]) -> dict[Key, Cell]:
    """The cells of the plotted column and groups in rows that say a number."""
    return {
        key: cell
        for key, cell in cells.items()
        if key.column == axes.column
        and key.group in axes.groups
        and _number(axes, key.row) is not None
    }


def _curve(axes: FigureAxes, group: str, values: Mapping[Key, object]) -> list[tuple[float, float]]:
    """The points of one group by what its rows say, from left to right."""
    return sorted(
        (number, value)
        for key, value in values.items()
        if key.group == group
        and (number := _number(axes, key.row)) is not None
        and isinstance(value, int | float)
    )


def _number(axes: FigureAxes, row: str) -> float | None:
    """-0.1 of `log σ_x^2 = -0.1`; None for a row that says something else."""
    head, _, tail = row.rpartition(" = ")
    try:
        return float(tail) if head == axes.against else None
    except ValueError:
        return None


def _scale(plot: "Axes", values: Iterable[float]) -> None:
    """A logarithmic scale where the values span two decades; linear around zero if one is not
    positive, as an estimate of a vanishing quantity may be."""
    sizes = sorted(abs(value) for value in values if value)
    if not sizes or sizes[-1] < 100 * sizes[0]:
        return
    if min(values) > 0:
        plot.set_yscale("log")
    else:
        plot.set_yscale("symlog", linthresh=10 ** math.floor(math.log10(sizes[-1] / 100)))
