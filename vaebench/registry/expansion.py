"""From a spec to cells and runs: which number is measured on which runs."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any, NamedTuple

from vaebench.errors import UserError, unknown
from vaebench.registry.canonical import canonical
from vaebench.registry.loading import paper_spec, published_cells
from vaebench.registry.merging import merge
from vaebench.registry.published import Key, Printed
from vaebench.registry.runs import DataView, Evaluation, Run, Training
from vaebench.registry.selection import EVERYTHING, Selection
from vaebench.registry.spec import (
    DATA,
    THIS,
    Column,
    InputRun,
    PaperSpec,
    Row,
    RunPart,
    Select,
    TableSpec,
)
from vaebench.registry.yaml import read_text


@dataclass(frozen=True)
class Measurement:
    """One cell that we measure: a column of an evaluation on one run a seed, aggregated."""

    key: Key
    column: Column
    runs: tuple[Run, ...]
    wanted: int
    evaluation: Evaluation
    select: Select | None
    extra: bool = False

    @property
    def evaluations(self) -> tuple[Evaluation, ...]:
        """What must be evaluated on each run: the cell's own, and the criterion of best-of-n."""
        if self.select is None or self.column.aggregation != "best":
            return (self.evaluation,)
        return (self.evaluation, Evaluation(self.select.evaluation))


@dataclass(frozen=True)
class Origin:
    """The part of a spec that a run comes from: `file: rows.NAME` for messages, and its cost."""

    place: str
    step_ms: float | None


@dataclass(frozen=True)
class Expansion:
    """The cells of a table that have a source of ours.

    `runs` are those that are evaluated; `origins` knows them and all that they start from.
    """

    spec: TableSpec
    measurements: tuple[Measurement, ...]
    runs: dict[str, Run] = field(default_factory=dict)
    origins: dict[str, Origin] = field(default_factory=dict)


def expand(spec: TableSpec, selection: Selection = EVERYTHING) -> Expansion:
    """The measured cells of `spec` and their runs; UserError for names that match nothing."""
    if selection.seeds is not None and not 1 <= selection.seeds <= spec.seeds:
        raise UserError(f"--seeds {selection.seeds}: {spec.id} has seeds 1 to {spec.seeds}")
    picked = selection.picks([*spec.rows, *spec.groups])
    # A row and a group together pick where they cross; one kind alone picks all of the other.
    rows, groups = picked & spec.rows.keys(), picked & spec.groups.keys()
    rows, groups = rows or set(spec.rows), groups or set(spec.groups)
    resolved = _Runs(spec, paper_spec(spec.paper), selection)
    printed = published_cells(spec)
    measurements: list[Measurement] = []
    runs: dict[str, Run] = {}
    for row, group in product(spec.rows, spec.groups):
        if row not in rows or group not in groups:
            continue
        if _merged(spec, row, group).method is None:
            continue
        for name, column in spec.columns_of(group).items():
            key = Key(row, group, name)
            if not _has_cell(spec, key, column, printed):
                continue
            measurement = _measurement(key, column, resolved)
            measurements.append(measurement)
            runs.update((run.id, run) for run in measurement.runs)
    _check_settings(selection, resolved.runs.values())
    return Expansion(spec, tuple(measurements), runs, resolved.origins)


def _has_cell(spec: TableSpec, key: Key, column: Column, printed: Mapping[Key, Printed]) -> bool:
    """Whether a column is measured in a row and group: where the paper has a cell, and where an
    extra row or column adds one."""
    if column.groups is not None and key.group not in column.groups:
        return False
    if spec.rows[key.row].extra or not printed:
        return True
    if column.beside is not None:
        beside = printed.get(key._replace(column=column.beside))
        return beside is not None and beside.value != ""
    return column.extra or key in printed


def _measurement(key: Key, column: Column, resolved: "_Runs") -> Measurement:
    spec = resolved.spec
    where = f"{spec.source}: columns.{key.column}"
    parameters: dict[str, Any] = {}
    for part in (spec, spec.groups[key.group], spec.rows[key.row]):
        parameters.update(part.evaluations.get(column.evaluation, {}))
    parameters.update(column.parameters)
    _check_plain(parameters, f"{where}: parameters")
    # The data are there once; so is what is trained on them for their row.
    single = column.aggregation == "single" or _merged(spec, key.row, key.group).method == DATA
    wanted = 1 if single else min(spec.rows[key.row].seeds or spec.seeds, spec.seeds)
    seeds = range(min(resolved.selection.seeds or wanted, wanted))
    runs: list[Run] = []
    inputs: dict[str, Run] = {}
    for seed in seeds:
        this = resolved.run(key.row, key.group, seed)
        context = _Context(key.group, seed, where, this)
        own = column.run is None or column.run in spec.rows[key.row].stands_for
        runs.append(this if own else resolved.named(str(column.run), context))
        if seed == 0:
            inputs = {
                name: resolved.input(needed, context._replace(where=f"{where}: inputs.{name}"))
                for name, needed in column.inputs.items()
            }
    return Measurement(
        key=key,
        column=column,
        runs=tuple(runs),
        wanted=wanted,
        evaluation=Evaluation(
            column.evaluation,
            parameters,
            inputs,
            column.files,
            other_view(runs[0].data, column.data, f"{where}: data"),
        ),
        select=spec.select,
        extra=spec.rows[key.row].extra or column.extra,
    )


def other_view(view: DataView, change: Mapping[str, Any], where: str) -> DataView | None:
    """A run's view of its data with `change` laid over it; None where nothing changes. UserError,
    naming `where`, for one that cannot be."""
    return DataView.read(merge(view.model_dump(), change), where) if change else None


def _merged(spec: TableSpec, row_name: str, group_name: str) -> RunPart:
    """The run parts of table, group, row and row's group, laid over each other."""
    row = spec.rows[row_name]
    merged = _laid_over([spec.defaults, spec.groups[group_name], row, *_of_group(row, group_name)])
    return merged.model_copy(update={"method": None}) if row.cited else merged


def _of_group(row: Row, group: str) -> list[RunPart]:
    """What a row says for one group alone."""
    return [row.groups[group]] if group in row.groups else []


def _laid_over(parts: Iterable[RunPart]) -> RunPart:
    merged: dict[str, Any] = {}
    for part in parts:
        raw = part.model_dump(include=set(RunPart.model_fields))
        for name in ("method", "step_ms"):
            if raw[name] is None:  # it leaves what is below it alone
                del raw[name]
        merged = merge(merged, raw)
    return RunPart.model_validate(merged)


class _Context(NamedTuple):
    """Where a run is wanted: `this` is the row's run that it is wanted for, `after` are the rows
    and named runs that it is an input of, however far away."""

    group: str
    seed: int
    where: str
    this: Run | None = None
    after: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Runs:
    """The runs of a table's rows, with the runs that they start from."""

    spec: TableSpec
    paper: PaperSpec
    selection: Selection
    runs: dict[str, Run] = field(default_factory=dict)
    origins: dict[str, Origin] = field(default_factory=dict)
    _rows: dict[tuple[str, str, int], Run] = field(default_factory=dict)

    def run(self, row: str, group: str, seed: int, after: tuple[str, ...] = ()) -> Run:
        """The run of a row."""
        known = self._rows.get((row, group, seed))
        if known is None:
            known = self._rows[row, group, seed] = self._row(row, group, seed, after)
        return known

    def _row(self, row: str, group: str, seed: int, after: tuple[str, ...]) -> Run:
        where = f"{self.spec.source}: rows.{row}"
        part = _merged(self.spec, row, group)
        if part.method is None:
            raise UserError(f"{where}: {after[-1]} takes it as an input, but it has no method")
        context = _Context(group, seed, where, after=(*after, row))
        return self._resolved(part, context)

    def named(self, name: str, context: _Context) -> Run:
        """A run of `runs`, on the data of the group, as it is wanted in this context."""
        if name not in self.spec.runs:
            raise UserError(f"{context.where}: {unknown('run', name, self.spec.runs)}")
        entry = self.spec.runs[name]
        group = self.spec.groups[context.group]
        data = RunPart(data=merge(self.spec.defaults.data, group.data))
        part = _laid_over([data, entry, *_of_group(entry, context.group)])
        where = f"{self.spec.source}: runs.{name}"
        if part.method is None:
            raise UserError(f"{where}: the key 'method' is missing")
        context = context._replace(where=where, after=(*context.after, name))
        return self._resolved(part, context)

    def input(self, wanted: InputRun, context: _Context) -> Run:
        """The run that a run, or a column, takes as an input."""
        where = context.where
        if wanted.group is not None:
            if wanted.group not in self.spec.groups:
                raise UserError(f"{where}: {unknown('group', wanted.group, self.spec.groups)}")
            context = context._replace(group=wanted.group)
        if wanted.seed is not None:
            context = context._replace(seed=wanted.seed)
        if wanted.row == THIS:
            if context.this is None:
                raise UserError(f"{where}: no row is meant by {THIS!r} here")
            return context.this
        name = wanted.row or wanted.run or ""
        if name in context.after:
            raise UserError(f"{where}: a circle: {' needs '.join([*context.after, name])}")
        if wanted.run is not None:
            return self.named(wanted.run, context)
        if name not in self.spec.rows:
            raise UserError(f"{where}: {unknown('row', name, self.spec.rows)}")
        return self.run(name, context.group, context.seed, context.after)

    def _resolved(self, part: RunPart, context: _Context) -> Run:
        where = context.where
        raw = {"arguments": part.arguments, "data": part.data, "training": part.training}
        for setting in self.selection.settings:
            _apply(raw, setting)
        if self.selection.limit is not None:
            raw["data"] = {**raw["data"], "limit": self.selection.limit}
        _check_plain(raw["arguments"], f"{where}: arguments")
        # An empty value takes away what another part of the spec has said.
        raw["arguments"] = {k: v for k, v in raw["arguments"].items() if v is not None}
        trains = part.method != DATA
        run = Run(
            method=str(part.method),
            arguments=raw["arguments"] if trains else {},
            data=DataView.read(raw["data"], f"{where}: data"),
            training=Training.read(raw["training"], f"{where}: training") if trains else None,
            seed=context.seed if trains else 0,
            paper=self.paper.paper,
            version=self.paper.version,
            inputs={
                name: self.input(wanted, context._replace(where=f"{where}: inputs.{name}"))
                for name, wanted in part.inputs.items()
                if trains
            },
        )
        self.runs[run.id] = run
        self.origins.setdefault(run.id, Origin(where, part.step_ms))
        return run


def _check_plain(values: dict[str, Any], where: str) -> None:
    """UserError for a value that has no place in an identity, such as a date or NaN."""
    try:
        canonical(values)
    except (TypeError, ValueError) as error:
        raise UserError(f"{where}: {error}") from error


def _apply(raw: dict[str, dict[str, Any]], setting: str) -> None:
    """Lay `training.epochs=2` over the parts of a run."""
    path, value = split_setting(setting)
    change: Any = value
    for name in reversed(path):
        change = {name: change}
    if path[0] == "arguments" and path[1] not in raw["arguments"]:
        return  # a method without this argument; _check_settings refuses one that no run has
    raw.update(merge(raw, change))


def split_setting(setting: str) -> tuple[list[str], Any]:
    """`training.epochs=2` as path and value; UserError for another form."""
    path, equals, value = setting.partition("=")
    names = path.strip().split(".")
    sections = ("arguments", "data", "training")
    if not equals or len(names) < 2 or not all(names):
        raise UserError(f"--set {setting}: expected SECTION.KEY=VALUE, such as training.epochs=2")
    if names[0] not in sections:
        raise UserError(f"--set {setting}: {unknown('section', names[0], sections)}")
    return names, read_text(value, f"--set {setting}")


def _check_settings(selection: Selection, runs: Iterable[Run]) -> None:
    """UserError for an argument that neither a run nor an input of one has."""
    known = {name for run in runs for name in run.arguments}
    for setting in selection.settings:
        path, _ = split_setting(setting)
        if path[0] == "arguments" and path[1] not in known:
            raise UserError(f"--set {setting}: {unknown('argument', path[1], known)}")
