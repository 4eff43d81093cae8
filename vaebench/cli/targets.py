"""From the names on the command line to a plan."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import chain

from vaebench.errors import UserError
from vaebench.execution.plan import Plan, make_plan
from vaebench.registry.expansion import Expansion, Measurement, expand
from vaebench.registry.figure_spec import FigureSpec
from vaebench.registry.loading import load_figure, load_table, own_table, typed_name
from vaebench.registry.names import figure_paths, table_paths
from vaebench.registry.runs import Evaluation
from vaebench.registry.selection import EVERYTHING, Selection, matches
from vaebench.registry.sweeps import sweep_table
from vaebench.results import summary
from vaebench.results.cells import candidates, measure, panel_evaluation, panel_measurement
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
    """The plan for tables, users' specs and figures; a figure needs rows of its tables. Of several
    tables, one in which no pattern of `--only` picks anything is left out."""
    parts = selected_parts(names, scale, selection)
    expansions: dict[str, Expansion] = {}
    pictures: dict[str, list[Evaluation]] = {}
    for name, part in parts.items():
        if name not in figure_paths():
            expansions[name] = expand_table(name, scale, part)
            continue
        figure = load_figure(name)
        wanted = Selection(selection.seeds, (), selection.limit, selection.settings)
        tables = expand_figure(figure, scale, wanted)
        for i, panel in enumerate(figure.all_panels()):
            measurement = panel_measurement(panel, tables[panel.table], figure.id)
            picture = panel_evaluation(panel, measurement, figure.id)
            for run in candidates(measurement):
                pictures.setdefault(run.id, []).append(picture)
            expansions[f"{name} {i}"] = _row_of(measurement, tables[panel.table])
        expansions.update((f"{name} {axes.table}", tables[axes.table]) for axes in figure.axes)
        if figure.sweep is not None:
            expansions[name] = tables[figure.id]
    return Targets(
        tuple(expansions.values()), scale, selection, make_plan(expansions.values(), pictures)
    )


def selected_parts(names: Iterable[str], scale: str, selection: Selection) -> dict[str, Selection]:
    """What is selected in each table: of several, the patterns that pick something there. UserError
    for a pattern that picks nothing in any."""
    names = list(names)
    tables = [name for name in names if name not in figure_paths()]
    if not selection.only or len(tables) < 2:
        return dict.fromkeys(names, selection)
    specs = {name: load_table(name, scale) for name in tables}
    known = {name: [*spec.rows, *spec.groups] for name, spec in specs.items()}
    selection.picks(list(dict.fromkeys(chain.from_iterable(known.values()))))
    parts: dict[str, Selection] = {}
    for name in names:
        only = tuple(p for p in selection.only if name in known and matches(p, known[name]))
        if only or name not in known:
            parts[name] = replace(selection, only=only)
    return parts


def runnable_tables() -> list[str]:
    """The built-in tables whose methods exist."""
    return [name for name in table_paths() if load_table(name).runnable]


def runnable_targets() -> list[str]:
    """These tables, and the figures that have runs of their own."""
    figures = [load_figure(name) for name in figure_paths()]
    own = [figure for figure in figures if figure.sweep or figure.runs]
    return [
        *runnable_tables(),
        *(figure.id for figure in own if why_not_runnable(figure) is None),
    ]


def expand_table(name: str, scale: str, selection: Selection) -> Expansion:
    """The cells and runs of a table that can be run; UserError for one that cannot."""
    spec = load_table(name, scale)
    if not spec.runnable:
        raise UserError(
            f"{spec.id}: none of its rows has a method; "
            f"`vaebench table {typed_name(spec)}` shows the paper's numbers"
        )
    return expand(spec, selection)


def expand_figure(figure: FigureSpec, scale: str, selection: Selection) -> dict[str, Expansion]:
    """The tables that a figure is drawn from, and one under its own name for the runs that no other
    has; UserError for one that cannot be run yet."""
    if not figure.runnable:
        raise UserError(f"{figure.id} cannot be drawn yet: its spec has no panels")
    specs = {name: load_table(name, scale) for name in figure.tables}
    if figure.runs is not None:
        specs[figure.id] = own_table(figure, scale)
    for spec in specs.values():
        if not spec.runnable:
            raise UserError(f"{figure.id} cannot be run yet: no row of {spec.id} has a method")
    if figure.sweep is not None:
        specs[figure.id] = sweep_table(figure, figure.sweep, scale)
    return {name: expand(spec, selection) for name, spec in specs.items()}


def why_not_runnable(figure: FigureSpec) -> str | None:
    """What a figure lacks, in a sentence; None if it can be run and drawn."""
    try:
        tables = expand_figure(figure, "paper", EVERYTHING)
        for panel in figure.all_panels():
            measurement = panel_measurement(panel, tables[panel.table], figure.id)
            panel_evaluation(panel, measurement, figure.id)
    except UserError as error:
        return str(error)
    return None


def _row_of(measurement: Measurement, expansion: Expansion) -> Expansion:
    """The part of a table that stands in the row and group of a cell."""
    row, group, _ = measurement.key
    measurements = tuple(
        m for m in expansion.measurements if (m.key.row, m.key.group) == (row, group)
    )
    runs = {run.id: run for m in measurements for run in m.runs}
    return Expansion(expansion.spec, measurements, runs, expansion.origins)
