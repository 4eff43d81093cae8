"""One column of a table at every point of a sweep over two arguments."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from vaebench.errors import UserError
from vaebench.registry.expansion import Expansion, Measurement
from vaebench.registry.figure_spec import FigureSpec, FigureSweep
from vaebench.registry.loading import published_cells
from vaebench.registry.published import Key
from vaebench.registry.spec import Column
from vaebench.results.cells import measure
from vaebench.results.figures.drawing import Drawing, mark_scale, mathtext
from vaebench.results.grid import UNMEASURED, format_number
from vaebench.results.measured import Measured
from vaebench.store.store import Store

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage

_WIDTH, _HEIGHT = 0.95, 0.62  # of a point, in inches
_LEAST = 5.0  # inches, so that the words on the scale have room
_BEST: dict[str, dict[str, Any]] = {
    "ours": {"edgecolor": "#d55e00", "linewidth": 3.0},
    "paper": {"edgecolor": "black", "linewidth": 1.6, "linestyle": (0, (3, 2))},
}
_LABELS = {"ours": "our best", "paper": "the paper's best"}
_INSET = {"ours": 0.03, "paper": 0.1}  # of a point, so that both frames can be seen


def heat_map(
    spec: FigureSpec, expansions: Mapping[str, Expansion], store: Store, scale: str
) -> Drawing:
    """A panel a group that is measured: our value at every point, the printed one below it where
    the swept table has the same run, and frames around our best point and the paper's (DU-VAE,
    Figure 2).

    UserError, with the command that makes them, where nothing is measured.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    sweep, expansion = spec.sweep, expansions[spec.id]
    if sweep is None:
        raise ValueError(f"{spec.id} has no sweep")
    cells = measure(expansion, store)
    printed = _printed(expansion, expansions[sweep.table])
    column = expansion.spec.columns[sweep.column]
    down, across = sweep.arguments.values()
    groups = _measured_groups(spec, sweep, cells, scale)
    width = max(len(groups) * (_WIDTH * len(across.values) + 1.6), _LEAST)
    figure = Figure(figsize=(width, _HEIGHT * len(down.values) + 1.4), layout="constrained")
    panels = figure.subplots(1, len(groups), squeeze=False)[0]
    for axis, group in zip(panels, groups, strict=True):
        image = _show(axis, sweep, group, column, cells, printed)
        figure.colorbar(image, ax=axis, label=mathtext(f"{sweep.column} ({column.unit})"))
    handles = [
        Patch(fill=False, label=_LABELS[who], **style)
        for who, style in _BEST.items()
        if who == "ours" or sweep.best
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=9, frameon=False)
    mark_scale(figure, spec.id, scale)
    seeds = sorted({expansion.runs[run].seed for cell in cells.values() for run in cell.runs})
    told = f"seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, seeds))}"
    lacking = [group for group in sweep.groups if group not in groups]
    without = f", {' and '.join(lacking)} not measured yet" if lacking else ""
    return Drawing(figure, f"{scale} scale, {told}{without}")


def _measured_groups(
    spec: FigureSpec, sweep: FigureSweep, cells: Mapping[Key, Measured], scale: str
) -> list[str]:
    """The groups of which a point is measured; UserError if there is none."""
    there = {key.group for key, cell in cells.items() if cell.state == "measured"}
    if not there:
        option = "" if scale == "paper" else f" --scale {scale}"
        raise UserError(
            f"{spec.id}: nothing of {sweep.column!r} is measured yet; "
            f"`vaebench run {spec.id}{option}` does it"
        )
    return [group for group in sweep.groups if group in there]


def _printed(expansion: Expansion, swept: Expansion) -> dict[Key, str]:
    """The printed values of points that are cells of the swept table too: the same runs."""
    values = published_cells(swept.spec)
    # By group too, for two groups may have the same data at smaller scales.
    known = {_point(m): values[m.key].value for m in swept.measurements if m.key in values}
    points = {m.key: _point(m) for m in expansion.measurements}
    return {key: known[point] for key, point in points.items() if known.get(point)}


def _point(measurement: Measurement) -> tuple[str, ...]:
    key = measurement.key
    return (key.group, key.column, *(run.id for run in measurement.runs))


def _show(
    axis: "Axes",
    sweep: FigureSweep,
    group: str,
    column: Column,
    cells: Mapping[Key, Measured],
    printed: Mapping[Key, str],
) -> "AxesImage":
    """One panel: darker is better."""
    from matplotlib import colormaps
    from matplotlib.patches import Rectangle

    down, across = sweep.arguments.values()
    shape = len(down.values), len(across.values)
    keys = [Key(name, group, sweep.column) for name in sweep.points().values()]
    numbers = [cells[key].value for key in keys]
    known = [x if isinstance(x, int | float) else np.nan for x in numbers]
    values = np.array(known, float).reshape(shape)
    lower = column.better != "higher"
    colors = colormaps["Blues_r" if lower else "Blues"].with_extremes(bad="white")
    image = axis.imshow(values, cmap=colors, aspect="auto")
    places = dict(zip(sweep.points(), np.ndindex(shape), strict=True))
    for key, (line, place) in zip(keys, places.values(), strict=True):
        color = _ink(image, float(values[line, place]))
        own = 0.13 if key in printed else 0.0
        axis.text(
            place, line - own, _text(cells[key], column), ha="center", va="center", color=color
        )
        if key in printed:
            words = f"paper {printed[key]}"
            axis.text(
                place, line + 0.25, words, ha="center", va="center", color=color, fontsize=7.5
            )
    best = np.nanargmin(values) if lower else np.nanargmax(values)
    framed = {"ours": divmod(int(best), shape[1])}
    if group in sweep.best:
        framed["paper"] = places[sweep.best[group]]
    for who, (line, place) in framed.items():
        edge = _INSET[who]
        corner, side = (place - 0.5 + edge, line - 0.5 + edge), 1 - 2 * edge
        frame = Rectangle(corner, side, side, fill=False, **_BEST[who])
        if who == "paper":
            frame.set_edgecolor(_ink(image, float(values[line, place])))
        axis.add_patch(frame)
    axis.set_title(mathtext(group))
    axis.set_xticks(range(shape[1]), [f"{x:g}" for x in across.values])
    axis.set_yticks(range(shape[0]), [f"{x:g}" for x in down.values])
    axis.set(xlabel=mathtext(across.name), ylabel=mathtext(down.name))
    axis.tick_params(length=0)
    return image


def _text(cell: Measured, column: Column) -> str:
    if isinstance(cell.value, int | float):
        return format_number(cell.value, 2 if column.digits is None else column.digits)
    return UNMEASURED[cell.state]


def _ink(image: "AxesImage", value: float) -> str:
    """White on dark colours: what contrasts more, by the relative luminance of sRGB."""
    luminance = image.to_rgba(np.array([value]))[0, :3] ** 2.2 @ (0.2126, 0.7152, 0.0722)
    return "white" if luminance < 0.18 else "black"
