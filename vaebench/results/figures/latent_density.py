"""Codes in a plane: their density above, the means of single data by their class below."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from vaebench.registry.expansion import Expansion
from vaebench.registry.figure_spec import FigureMixture, FigureSpec
from vaebench.results.figures.drawing import Drawing, mark_scale, mathtext
from vaebench.results.figures.panels import Pictures
from vaebench.store.store import Store

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Of the first Gaussian, in the middle, and of those around it; alike to no colour-blind reader.
_COLOURS = ("#1f4fd8", "#cc3311", "#00b894", "#e8b800", "#882255")
_LEVELS = 9
_SIZE = 3.0  # points squared
_INCHES = 2.15
_SEED = 0


class _Plane(NamedTuple):
    """`density` [P, P] at `places` [P], the second dimension downwards; `points` [N, 2] of the
    classes `labels` [N]."""

    title: str
    places: np.ndarray
    density: np.ndarray
    points: np.ndarray
    labels: np.ndarray


def latent_density(
    spec: FigureSpec, expansions: Mapping[str, Expansion], store: Store, scale: str
) -> Drawing:
    """A column a model, after that of the mixture that the data were made of: contours of the
    aggregated posterior, and posterior means by Gaussian (DU-VAE, Figure 1).

    The contours of a panel are at even steps up to its own maximum.
    """
    from matplotlib.figure import Figure

    pictures = Pictures(spec, expansions, store, scale)
    planes = list(_planes(spec, pictures))
    size = _INCHES * len(planes) + 0.3, 2 * _INCHES + 0.5
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(2, len(planes), squeeze=False, sharex=True, sharey=True)
    for plane, (above, below) in zip(planes, axes.T, strict=True):
        above.set_title(mathtext(plane.title), fontsize=10)
        _contours(above, plane)
        _points(below, plane)
    mark_scale(figure, spec.id, scale)
    return Drawing(figure, pictures.statement())


def _planes(spec: FigureSpec, pictures: Pictures) -> Iterator[_Plane]:
    """The mixture, then the panels."""
    names = "places", "density", "means", "labels"
    panels = [
        _Plane(panel.title, *(pictures.array(panel, name) for name in names))
        for panel in spec.panels
    ]
    if spec.mixture is not None:
        yield _of_mixture(spec.mixture, panels[0].places)
    yield from panels


def _of_mixture(mixture: FigureMixture, places: np.ndarray) -> _Plane:
    centres, deviation = np.array(mixture.centres), mixture.deviation
    standard = (places - centres[:, :, None]) / deviation  # [M, 2, P]
    marginals = np.exp(-0.5 * standard**2) / ((2 * np.pi) ** 0.5 * deviation)
    density = marginals[:, 1].T @ marginals[:, 0] / len(centres)
    generator = np.random.Generator(np.random.PCG64(_SEED))
    labels = generator.integers(len(centres), size=mixture.draws)
    points = centres[labels] + deviation * generator.standard_normal((mixture.draws, 2))
    return _Plane(mixture.title, places, density, points, labels)


def _contours(axis: "Axes", plane: _Plane) -> None:
    levels = np.linspace(0, plane.density.max(), _LEVELS + 1)
    arrays = plane.places, plane.places, plane.density
    axis.contourf(*arrays, levels=levels, cmap="viridis")
    axis.contour(*arrays, levels=levels[1:-1], colors="white", linewidths=0.4, alpha=0.6)
    _frame(axis, plane)


def _points(axis: "Axes", plane: _Plane) -> None:
    colours = [_COLOURS[label % len(_COLOURS)] for label in plane.labels]
    first, second = plane.points.T
    axis.scatter(first, second, s=_SIZE, c=colours, linewidths=0, rasterized=True)
    _frame(axis, plane)


def _frame(axis: "Axes", plane: _Plane) -> None:
    """The same part of the plane for all."""
    ends = float(plane.places[0]), float(plane.places[-1])
    ticks = np.arange(np.ceil(ends[0] / 2) * 2, ends[1] + 1e-6, 2)
    axis.set(xlim=ends, ylim=ends, xticks=ticks, yticks=ticks, aspect="equal")
    axis.tick_params(labelsize=8, length=2)
