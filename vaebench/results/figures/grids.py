"""Square grids of images side by side."""

import math
from collections.abc import Mapping

import numpy as np

from vaebench.registry.expansion import Expansion
from vaebench.registry.figure_spec import FigureSpec
from vaebench.results.figures.drawing import Drawing, mark_scale, mathtext
from vaebench.results.figures.panels import Pictures
from vaebench.store.store import Store


def image_grids(
    spec: FigureSpec, expansions: Mapping[str, Expansion], store: Store, scale: str
) -> Drawing:
    """Square grids of images side by side, one a panel (IGP Figures 5 and 6)."""
    from matplotlib.figure import Figure

    pictures = Pictures(spec, expansions, store, scale)
    figure = Figure(figsize=(3.4 * len(spec.panels), 3.8), layout="constrained")
    axes = figure.subplots(1, len(spec.panels), squeeze=False)[0]
    for axis, panel in zip(axes, spec.panels, strict=True):
        images = pictures.array(panel, panel.array)
        axis.imshow(tile(images), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axis.set_title(mathtext(panel.title))
        axis.set_axis_off()
    mark_scale(figure, spec.id, scale)
    return Drawing(figure, pictures.statement())


def tile(images: np.ndarray) -> np.ndarray:
    """Images [N, H, W] or [N, H, W, 3] in rows of about sqrt(N): [rows * H, columns * W, …]."""
    count, height, width, *channels = images.shape
    columns = math.isqrt(count - 1) + 1
    rows = -(-count // columns)
    padded = np.zeros((rows * columns, *images.shape[1:]), images.dtype)
    padded[:count] = images
    grid = padded.reshape(rows, columns, height, width, *channels).swapaxes(1, 2)
    return grid.reshape(rows * height, columns * width, *channels)
