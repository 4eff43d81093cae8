"""Figures of the papers and learning curves, with matplotlib's object interface."""

from collections.abc import Mapping

from vaebench.registry.expansion import Expansion
from vaebench.registry.figure_spec import FigureSpec
from vaebench.results.figures.box_plot import box_plot
from vaebench.results.figures.curves import learning_curves
from vaebench.results.figures.drawing import Drawing, save
from vaebench.results.figures.grids import image_grids
from vaebench.results.figures.heat_map import heat_map
from vaebench.results.figures.latent_density import latent_density
from vaebench.results.figures.line_plot import line_plot
from vaebench.results.figures.matrix import gallery, image_blocks, perturbations
from vaebench.results.figures.scatter import scatter
from vaebench.store.store import Store

__all__ = ["Drawing", "draw", "learning_curves", "save"]

_KINDS = {
    "image-grid": image_grids,
    "perturbations": perturbations,
    "scatter": scatter,
    "gallery": gallery,
    "image-blocks": image_blocks,
    "line-plot": line_plot,
    "heat-map": heat_map,
    "latent-density": latent_density,
    "box-plot": box_plot,
}


def draw(
    spec: FigureSpec, expansions: Mapping[str, Expansion], store: Store, scale: str
) -> Drawing:
    """The figure of `spec` from what the store holds.

    UserError, with the command that makes it, where something is not there yet.
    """
    return _KINDS[spec.kind or ""](spec, expansions, store, scale)
