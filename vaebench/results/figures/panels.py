"""The pictures of a figure's panels, as evaluations left them beside the weights."""

from collections.abc import Iterable, Mapping

import numpy as np

from vaebench.data import catalog
from vaebench.errors import UserError, unknown
from vaebench.registry.expansion import Expansion
from vaebench.registry.figure_spec import FigurePanel, FigureSpec
from vaebench.results.cells import best_run, panel_evaluation, panel_measurement, panel_name
from vaebench.store.store import Store


def in_lines(panels: Iterable[FigurePanel]) -> dict[str | None, list[FigurePanel]]:
    """Those with the same `line` together, by what stands at the side."""
    lines: dict[str | None, list[FigurePanel]] = {}
    for panel in panels:
        lines.setdefault(panel.line, []).append(panel)
    return lines


class Pictures:
    """Reads the arrays of panels and notes the seeds that they are of."""

    def __init__(
        self, spec: FigureSpec, expansions: Mapping[str, Expansion], store: Store, scale: str
    ) -> None:
        self._spec, self._expansions = spec, expansions
        self._store, self._scale = store, scale
        self._seeds: dict[str, int] = {}

    def array(self, panel: FigurePanel, name: str) -> np.ndarray:
        """One array of the panel's evaluation; UserError, with the command that makes them, where
        there are none yet."""
        figure, heads = self._spec.id, panel_name(panel)
        measurement = panel_measurement(panel, self._expansions[panel.table], figure)
        run = best_run(measurement, self._store)
        evaluation = panel_evaluation(panel, measurement, figure)
        path = self._store.array(run.id, evaluation) if run else None
        if run is None or path is None or not path.exists():
            option = "" if self._scale == "paper" else f" --scale {self._scale}"
            raise UserError(
                f"{figure}: {heads} has no images yet; `vaebench run {figure}{option}` makes them"
            )
        self._seeds[", ".join(filter(None, (panel.line, panel.over, panel.title)))] = run.seed
        with np.load(path, allow_pickle=False) as arrays:
            if name not in arrays:
                raise UserError(f"{figure}: {heads}: {unknown('array', name, arrays)}")
            found: np.ndarray = arrays[name]
        return found

    def class_names(self, panel: FigurePanel) -> tuple[str, ...]:
        """What the classes of the panel's data are called; none if they have numbers alone."""
        measurement = panel_measurement(panel, self._expansions[panel.table], self._spec.id)
        return catalog.lookup(measurement.runs[0].data.dataset).class_names

    def statement(self) -> str:
        """Scale and seeds: one for all panels, or each panel's."""
        seeds = set(self._seeds.values())
        told = [f"{panel} seed {seed}" for panel, seed in self._seeds.items()]
        if len(seeds) == 1:
            told = [f"seed {seeds.pop()}"]
        return f"{self._scale} scale, {', '.join(told)}"
