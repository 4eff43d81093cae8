"""The plan: the runs and evaluations that some tables need, against what the store holds.

Imports no torch, so that `show`, `status` and `--dry-run` answer at once.
"""

import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from vaebench.data.views import split_sizes
from vaebench.errors import UserError
from vaebench.registry.canonical import canonical
from vaebench.registry.expansion import Expansion, Origin
from vaebench.registry.runs import DataView, Evaluation, Run
from vaebench.store.store import Record, Store, plain

_UNKNOWN_STEP_SECONDS = 0.02


@dataclass
class Work:
    """One run, what is to be evaluated on it, and what a training step is said to cost.

    `place` is the part of a spec that the run comes from, `columns` the column that asks for an
    evaluation, both as `file: rows.NAME`, for messages. `is_input` says that an open run takes the
    model of this one, so that its weights must be there.
    """

    run: Run
    evaluations: dict[str, Evaluation] = field(default_factory=dict)
    tables: list[str] = field(default_factory=list)
    step_ms: float | None = None
    place: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    is_input: bool = False

    def missing(self, store: Store) -> list[Evaluation]:
        """The evaluations that the store does not hold."""
        return [e for e in self.evaluations.values() if not store.has_values(self.run, e)]

    def trains(self, store: Store) -> bool:
        """Whether it is trained: for the first time, or again, because its weights are not here
        and a run starts from it or an evaluation is missing."""
        if store.record(self.run.id) is None:
            return True
        needed = self.is_input or bool(self.missing(store))
        return needed and not store.weights(self.run.id).exists()

    @property
    def views(self) -> list[DataView]:
        """The views of the data that the run and its evaluations see."""
        others = [entry.data for entry in self.evaluations.values() if entry.data is not None]
        return [self.run.data, *others]

    @property
    def inputs(self) -> dict[str, Run]:
        """By id, the runs that must be finished before: those that this one starts from, and those
        whose models its evaluations take."""
        return {run.id: run for run in _inputs(self.run, self.evaluations.values())}


@dataclass(frozen=True)
class Plan:
    """Work by run id, every run after its inputs."""

    work: dict[str, Work]

    def open(self, store: Store) -> list[Work]:
        """What is still to be trained or evaluated, in order: every run after its inputs.

        A finished run without weights here, as on a fresh clone, is open if an open run starts
        from it. It is trained again, as for an evaluation that is missing, and all are made anew.
        """
        found: list[Work] = []
        inputs: set[str] = set()
        for planned in reversed(self.work.values()):
            entry = replace(planned, is_input=planned.run.id in inputs)
            trains, missing = entry.trains(store), entry.missing(store)
            if trains or missing:
                found.append(entry)
                wanted = entry.evaluations.values() if trains else missing
                inputs.update(needed.id for needed in _inputs(entry.run, wanted))
        return found[::-1]

    @property
    def files(self) -> set[str]:
        """The files that evaluations take, by their names in the catalogue."""
        return {
            name
            for entry in self.work.values()
            for evaluation in entry.evaluations.values()
            for name in evaluation.files.values()
        }

    def without_files(self, absent: Collection[str]) -> "Plan":
        """The plan without the evaluations that take one of these files."""

        def possible(entry: Work) -> dict[str, Evaluation]:
            return {
                key: evaluation
                for key, evaluation in entry.evaluations.items()
                if not set(evaluation.files.values()) & set(absent)
            }

        return Plan({i: replace(e, evaluations=possible(e)) for i, e in self.work.items()})


@dataclass(frozen=True)
class Cost:
    """Seconds of one run on one core: measured on an equal run, or estimated from the spec."""

    seconds: float | None
    measured: bool
    peak_mb: float | None = None
    disk_mb: float | None = None


def make_plan(
    expansions: Iterable[Expansion], extra: Mapping[str, Iterable[Evaluation]] = {}
) -> Plan:
    """Merge the needs of tables; `extra` adds evaluations (of figures) by run id."""
    work: dict[str, Work] = {}
    origins: dict[str, Origin] = {}
    for expansion in expansions:
        origins = {**expansion.origins, **origins}
        for measurement in expansion.measurements:
            for run in measurement.runs:
                entry = work.setdefault(run.id, Work(run))
                if expansion.spec.id not in entry.tables:
                    entry.tables.append(expansion.spec.id)
                for evaluation in measurement.evaluations:
                    entry.evaluations[evaluation.key] = evaluation
                    column = f"{expansion.spec.source}: columns.{measurement.key.column}"
                    entry.columns.setdefault(evaluation.key, column)
    for run_id, evaluations in extra.items():
        for evaluation in evaluations:
            work[run_id].evaluations[evaluation.key] = evaluation
    work = _ordered(work)
    for run_id, entry in work.items():
        for view in entry.views:
            split_sizes(view)
        if run_id in origins:
            entry.place, entry.step_ms = origins[run_id].place, origins[run_id].step_ms
    return Plan(work)


def plan_of(entry: Work) -> Plan:
    """The plan for one run: its inputs and the run."""
    return Plan(_ordered({entry.run.id: entry}))


def _ordered(work: Mapping[str, Work]) -> dict[str, Work]:
    """The work with that on all inputs, which comes first."""
    ordered: dict[str, Work] = {}
    waiting: dict[str, None] = {}

    def add(entry: Work) -> None:
        run_id = entry.run.id
        if run_id in ordered:
            return
        if run_id in waiting:
            raise UserError(f"{entry.place or run_id}: a circle: {' needs '.join(waiting)}")
        waiting[run_id] = None
        for needed in entry.inputs.values():
            add(work.get(needed.id) or Work(needed))
        del waiting[run_id]
        ordered[run_id] = entry

    for entry in work.values():
        add(entry)
    return ordered


def _inputs(run: Run, evaluations: Iterable[Evaluation]) -> Iterator[Run]:
    yield from run.inputs.values()
    for evaluation in evaluations:
        # An evaluation may take the very run that it is of: a judge of itself.
        yield from (needed for needed in evaluation.inputs.values() if needed.id != run.id)


def check_plan(plan: Plan) -> None:
    """UserError unless every method and evaluator exists and takes its arguments (loads torch)."""
    from vaebench import evaluation, methods

    for entry in plan.work.values():
        run, where = entry.run, entry.place or entry.run.id
        for name in run.arguments.keys() & run.inputs.keys():
            raise UserError(f"{where}: {name!r} stands under arguments and under inputs")
        methods.check(run.method, [*run.arguments, *run.inputs], where)
        for key, needed in entry.evaluations.items():
            where = entry.columns.get(key, entry.run.id)
            evaluation.check(needed.name, needed.arguments, where)


class Costs:
    """What runs cost, from the records of a store."""

    def __init__(self, records: Iterable[Record]) -> None:
        self._measured: dict[str, Cost] = {}
        for record in records:
            if record["status"] == "done":
                provenance = record["provenance"]
                seconds = provenance["training_seconds"] + provenance["evaluation_seconds"]
                self._measured.setdefault(
                    _but_seed(record["configuration"]),
                    Cost(seconds, True, provenance["peak_mb"], provenance["disk_mb"]),
                )

    def of(self, entry: Work) -> Cost:
        """As a finished run that differs in its seed alone, else by the row's `step_ms`."""
        measured = self._measured.get(_but_seed(plain(entry.run.configuration)))
        if measured is not None:
            return measured
        if entry.run.training is None:
            return Cost(0.0, False)
        steps = step_count(entry.run)
        return Cost(None if entry.step_ms is None else steps * entry.step_ms / 1000, False)

    def seconds(self, work: Iterable[Work]) -> dict[str, float]:
        """By run id, with a guess where nothing is known: what must only be put in order."""
        return {
            entry.run.id: cost.seconds
            if (cost := self.of(entry)).seconds is not None
            else step_count(entry.run) * _UNKNOWN_STEP_SECONDS
            for entry in work
        }


def _but_seed(configuration: Mapping[str, object]) -> str:
    return canonical({**configuration, "seed": None, "inputs": None})


def step_count(run: Run) -> int:
    """Training steps of a run."""
    if run.training is None:
        return 0
    examples = split_sizes(run.data)["train"]
    return math.ceil(examples / run.training.batch_size) * run.training.epochs
