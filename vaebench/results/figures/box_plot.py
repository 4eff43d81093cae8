"""Box plots of posteriors by dimension: their means above, their variances below."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from vaebench.registry.expansion import Expansion
from vaebench.registry.figure_spec import FigureSpec
from vaebench.results.figures.drawing import Drawing, mark_scale, mathtext
from vaebench.results.figures.panels import Pictures
from vaebench.store.store import Store

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = {True: "#3a6fd8", False: "#cc3311"}
_NAMES = {True: "active", False: "inactive"}
_PARTS = "whislo", "q1", "med", "q3", "whishi"
_HIGHEST = 1.05  # of the variances, as in the paper: a little more than the prior's
_TICKS = 8


def box_plot(
    spec: FigureSpec, expansions: Mapping[str, Expansion], store: Store, scale: str
) -> Drawing:
    """A column a model; active dimensions are blue, the others red (IGP, Figure 1)."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    pictures = Pictures(spec, expansions, store, scale)
    figure = Figure(figsize=(4.2 * len(spec.panels), 5.2), layout="constrained")
    grid = figure.subplots(2, len(spec.panels), squeeze=False, sharex="col", sharey="row")
    highest = _HIGHEST
    for panel, (above, below) in zip(spec.panels, grid.T, strict=True):
        active = pictures.array(panel, "active")
        variances = pictures.array(panel, "variance")
        _show(above, pictures.array(panel, "mean"), active)
        _show(below, variances, active)
        above.set_title(mathtext(panel.title))
        below.set_xlabel("dimension")
        highest = max(highest, 1.02 * float(variances.max()))
    grid[0, 0].set_ylabel("mean")
    grid[1, 0].set_ylabel("variance")
    grid[1, 0].set_ylim(0, highest)
    handles = [Patch(color=_COLOURS[kind], label=_NAMES[kind]) for kind in _COLOURS]
    figure.legend(handles=handles, loc="outside lower center", ncols=2, fontsize=9, frameon=False)
    mark_scale(figure, spec.id, scale)
    return Drawing(figure, pictures.statement())


def _show(axis: "Axes", boxes: np.ndarray, active: np.ndarray) -> None:
    """Whiskers and quartiles [5, K] of dimensions that are `active` [K] or not."""
    from matplotlib.colors import to_rgba

    places = range(1, len(active) + 1)
    stats = [dict(zip(_PARTS, box, strict=True)) for box in boxes.T.tolist()]
    for box, place, kind in zip(stats, places, active.tolist(), strict=True):
        # Lines too, for a box may be too flat to show its inside.
        line = {"linewidth": 1, "color": _COLOURS[kind]}
        inside = to_rgba(_COLOURS[kind], 0.3)
        axis.bxp(
            [box],
            positions=[place],
            widths=0.6,
            showfliers=False,
            patch_artist=True,
            manage_ticks=False,
            boxprops={"linewidth": 1, "edgecolor": _COLOURS[kind], "facecolor": inside},
            whiskerprops=line,
            capprops=line,
            medianprops={**line, "linewidth": 2},
        )
    step = -(-len(active) // _TICKS)
    axis.set_xticks(places[::step])
    axis.set_xlim(0.3, len(active) + 0.7)
    axis.grid(axis="y", alpha=0.3)
