"""From a spec to cells and runs: which number is measured on which runs."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from vaebench.errors import UserError, unknown
from vaebench.registry.canonical import canonical
from vaebench.registry.loading import merge, paper_spec, published_cells
from vaebench.registry.published import Key
from vaebench.registry.runs import DataView, Evaluation, Run, Training
from vaebench.registry.selection import EVERYTHING, Selection
from vaebench.registry.spec import Column, InputRow, PaperSpec, RunPart, Select, TableSpec
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
class Expansion:
    """The cells of a table that have a source of ours."""

    spec: TableSpec
    measurements: tuple[Measurement, ...]
    runs: dict[str, Run] = field(default_factory=dict)


def expand(spec: TableSpec, selection: Selection = EVERYTHING) -> Expansion:
    """The measured cells of `spec` and their runs; UserError for names that match nothing."""
    if selection.seeds is not None and not 1 <= selection.seeds <= spec.seeds:
        raise UserError(f"--seeds {selection.seeds}: {spec.id} has seeds 1 to {spec.seeds}")
    picked = selection.picks([*spec.rows, *spec.groups])
    resolved = _Runs(spec, paper_spec(spec.paper), selection)
    printed = published_cells(spec)
    measurements: list[Measurement] = []
    runs: dict[str, Run] = {}
    for row_name, row in spec.rows.items():
        for group_name, group in spec.groups.items():
            if selection.only and not picked & {row_name, group_name}:
                continue
            part = _merged(spec, row_name, group_name)
            if part.method is None:
                continue
            columns = {
                name: column
                for name, column in spec.all_columns().items()
                if row.extra
                or column.extra
                or not printed
                or Key(row_name, group_name, name) in printed
            }
            if not columns:
                continue
            seeds = range(selection.seeds or spec.seeds)
            cell_runs = tuple(resolved.run(row_name, group_name, seed) for seed in seeds)
            runs.update((run.id, run) for run in cell_runs)
            for name, column in columns.items():
                parameters = {**group.evaluation, **column.parameters}
                _check_plain(parameters, f"{spec.source}: columns.{name}: parameters")
                single = column.aggregation == "single"
                measurements.append(
                    Measurement(
                        key=Key(row_name, group_name, name),
                        column=column,
                        runs=cell_runs[:1] if single else cell_runs,
                        wanted=1 if single else spec.seeds,
                        evaluation=Evaluation(column.evaluation, parameters),
                        select=spec.select,
                        extra=row.extra or column.extra,
                    )
                )
    _check_settings(selection, runs.values())
    return Expansion(spec, tuple(measurements), runs)


def _merged(spec: TableSpec, row_name: str, group_name: str) -> RunPart:
    """The run parts of table, group, row and row's group, laid over each other."""
    row = spec.rows[row_name]
    parts: list[RunPart] = [spec.defaults, spec.groups[group_name], row]
    if group_name in row.groups:
        parts.append(row.groups[group_name])
    merged: dict[str, Any] = {}
    for part in parts:
        raw = part.model_dump(include=set(RunPart.model_fields))
        if part.method is None:  # a part without a method leaves the one below it alone
            del raw["method"]
        merged = merge(merged, raw)
    if row.cited:
        merged["method"] = None
    return RunPart.model_validate({k: v for k, v in merged.items() if v is not None})


@dataclass(frozen=True)
class _Runs:
    """The runs of a table's rows, with the runs that they start from."""

    spec: TableSpec
    paper: PaperSpec
    selection: Selection

    def run(self, row: str, group: str, seed: int, after: tuple[str, ...] = ()) -> Run:
        """One run; `after` are the rows that it is an input of, however far away."""
        part = _merged(self.spec, row, group)
        where = f"{self.spec.source}: rows.{row}"
        if part.method is None:
            raise UserError(f"{where}: {after[-1]} takes it as an input, but it has no method")
        raw = {"arguments": part.arguments, "data": part.data, "training": part.training}
        for setting in self.selection.settings:
            _apply(raw, setting)
        if self.selection.limit is not None:
            raw["data"] = {**raw["data"], "limit": self.selection.limit}
        _check_plain(raw["arguments"], f"{where}: arguments")
        return Run(
            method=part.method,
            arguments=raw["arguments"],
            data=DataView.read(raw["data"], f"{where}: data"),
            training=Training.read(raw["training"], f"{where}: training"),
            seed=seed,
            paper=self.paper.paper,
            version=self.paper.version,
            inputs={
                name: self._input(name, wanted, group, seed, (*after, row), where)
                for name, wanted in part.inputs.items()
            },
        )

    def _input(
        self,
        name: str,
        wanted: InputRow,
        group: str,
        seed: int,
        after: tuple[str, ...],
        where: str,
    ) -> Run:
        where = f"{where}: inputs.{name}"
        group = wanted.group or group
        if wanted.row not in self.spec.rows:
            raise UserError(f"{where}: {unknown('row', wanted.row, self.spec.rows)}")
        if group not in self.spec.groups:
            raise UserError(f"{where}: {unknown('group', group, self.spec.groups)}")
        if wanted.row in after:
            raise UserError(f"{where}: a circle: {' needs '.join([*after, wanted.row])}")
        return self.run(wanted.row, group, seed if wanted.seed is None else wanted.seed, after)


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
    known = {name for run in _with_inputs(runs) for name in run.arguments}
    for setting in selection.settings:
        path, _ = split_setting(setting)
        if path[0] == "arguments" and path[1] not in known:
            raise UserError(f"--set {setting}: {unknown('argument', path[1], known)}")


def _with_inputs(runs: Iterable[Run]) -> Iterator[Run]:
    for run in runs:
        yield run
        yield from _with_inputs(run.inputs.values())
