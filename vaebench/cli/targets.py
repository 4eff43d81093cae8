"""From the names on the command line to a plan."""

from collections.abc import Iterable
from dataclasses import dataclass

from vaebench.errors import UserError
from vaebench.execution.plan import Plan, make_plan
from vaebench.registry.expansion import Expansion, expand
from vaebench.registry.loading import load_figure, load_table
from vaebench.registry.names import figure_paths, table_paths
from vaebench.registry.runs import Evaluation
from vaebench.registry.selection import Selection
from vaebench.registry.spec import FigurePanel
from vaebench.results import summary
from vaebench.results.cells import measure
from vaebench.store.store import Store


@dataclass(frozen=True)
class Targets:
    """The tables that a command works on, at one scale, and the plan for them."""

    expansions: tuple[Expansion, ...]
    scale: str
    selection: Selection
    plan: Plan

    def write_summaries(self, store: Store) -> list[str]:
        """Bring the CSV of every table up to date; returns the paths."""
        tables = {expansion.spec.id: expansion for expansion in self.expansions}
        variant = self.selection.variant
        paths = []
        with store.results_lock():
            for whole in map(self._whole, tables.values()):
                cells = measure(whole, store)
                paths.append(str(summary.write_summary(store, whole, cells, self.scale, variant)))
        return paths

    def _whole(self, expansion: Expansion) -> Expansion:
        """All rows and seeds: a CSV shows the table, whatever part of it was asked for."""
        unpicked = Selection(limit=self.selection.limit, settings=self.selection.settings)
        return expand(expansion.spec, unpicked)


def find_targets(names: Iterable[str], scale: str, selection: Selection) -> Targets:
    """The plan for tables, users' specs and figures; a figure needs rows of its tables."""
    expansions: dict[str, Expansion] = {}
    pictures: dict[str, list[Evaluation]] = {}
    for name in names:
        if name not in figure_paths():
            expansions[name] = expand_table(name, scale, selection)
            continue
        figure = load_figure(name)
        if not figure.runnable:
            raise UserError(f"{name}: it cannot be drawn yet")
        for panel in figure.panels:
            wanted = Selection(selection.seeds, (), selection.limit, selection.settings)
            expansion = _rows_of(panel, expand_table(panel.table, scale, wanted))
            for run_id in expansion.runs:
                picture = Evaluation(panel.evaluation, panel.parameters)
                pictures.setdefault(run_id, []).append(picture)
            expansions[f"{name} {panel.title}"] = expansion
    return Targets(
        tuple(expansions.values()), scale, selection, make_plan(expansions.values(), pictures)
    )


def runnable_tables() -> list[str]:
    """The built-in tables whose methods exist."""
    return [name for name in table_paths() if load_table(name).runnable]


def expand_table(name: str, scale: str, selection: Selection) -> Expansion:
    """The cells and runs of a table that can be run; UserError for one that cannot yet."""
    spec = load_table(name, scale)
    if not spec.runnable:
        raise UserError(
            f"{spec.id}: its methods do not exist yet; "
            f"`vaebench table {spec.id}` shows the paper's numbers"
        )
    return expand(spec, selection)


def _rows_of(panel: FigurePanel, expansion: Expansion) -> Expansion:
    """The part of a table that a panel is drawn from."""
    measurements = tuple(
        m for m in expansion.measurements if (m.key.row, m.key.group) == (panel.row, panel.group)
    )
    if not measurements:
        raise UserError(f"{panel.table} has no cell ({panel.row}, {panel.group}) to draw")
    runs = {run.id: run for m in measurements for run in m.runs}
    return Expansion(expansion.spec, measurements, runs)
