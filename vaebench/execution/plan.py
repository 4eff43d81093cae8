"""The plan: the runs and evaluations that some tables need, against what the store holds.

Imports no torch, so that `show`, `status` and `--dry-run` answer at once.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from vaebench.data import catalog
from vaebench.errors import UserError
from vaebench.registry.canonical import canonical
from vaebench.registry.expansion import Expansion
from vaebench.registry.runs import Evaluation, Run
from vaebench.store.store import Record, Store, plain

_UNKNOWN_STEP_SECONDS = 0.02


@dataclass
class Work:
    """One run, what is to be evaluated on it, and what a training step is said to cost.

    `row` is the first row that asks for the run, `columns` the column that asks for an evaluation,
    both as `file: rows.NAME`, for messages. `is_input` says that an open run starts from this one,
    so that its weights must be there.
    """

    run: Run
    evaluations: dict[str, Evaluation] = field(default_factory=dict)
    tables: list[str] = field(default_factory=list)
    step_ms: float | None = None
    row: str = ""
    columns: dict[str, str] = field(default_factory=dict)
    is_input: bool = False

    def missing(self, store: Store) -> list[Evaluation]:
        """The evaluations that the store does not hold."""
        return [e for e in self.evaluations.values() if not store.has_values(self.run, e)]


@dataclass(frozen=True)
class Plan:
    """Work by run id, every run after its inputs."""

    work: dict[str, Work]

    def open(self, store: Store) -> list[Work]:
        """What is still to be trained or evaluated, in order: every run after its inputs.

        A finished run without weights here, as on a fresh clone, is open if an open run starts
        from it.
        """
        found: list[Work] = []
        inputs: set[str] = set()
        for entry in reversed(self.work.values()):
            run = entry.run
            is_input = run.id in inputs
            lacking = is_input and not store.weights(run.id).exists()
            if lacking or store.record(run.id) is None or entry.missing(store):
                found.append(replace(entry, is_input=is_input))
                inputs.update(needed.id for needed in run.inputs.values())
        return found[::-1]


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
    for expansion in expansions:
        for measurement in expansion.measurements:
            for run in measurement.runs:
                entry = _entry(work, run)
                row, source = measurement.key.row, expansion.spec.source
                entry.step_ms = entry.step_ms or expansion.spec.rows[row].step_ms
                entry.row = entry.row or f"{source}: rows.{row}"
                if expansion.spec.id not in entry.tables:
                    entry.tables.append(expansion.spec.id)
                for evaluation in measurement.evaluations:
                    entry.evaluations[evaluation.key] = evaluation
                    column = f"{source}: columns.{measurement.key.column}"
                    entry.columns.setdefault(evaluation.key, column)
    for run_id, evaluations in extra.items():
        for evaluation in evaluations:
            work[run_id].evaluations[evaluation.key] = evaluation
    for entry in work.values():
        catalog.lookup(entry.run.data.dataset)
    return Plan(work)


def plan_of(entry: Work) -> Plan:
    """The plan for one run: its inputs and the run."""
    work: dict[str, Work] = {}
    for needed in entry.run.inputs.values():
        _entry(work, needed)
    return Plan({**work, entry.run.id: entry})


def _entry(work: dict[str, Work], run: Run) -> Work:
    """The work on `run`, put behind the work on its inputs."""
    for needed in run.inputs.values():
        _entry(work, needed)
    return work.setdefault(run.id, Work(run))


def check_plan(plan: Plan) -> None:
    """UserError unless every method and evaluator exists and takes its arguments (loads torch)."""
    from vaebench import evaluation, methods

    for entry in plan.work.values():
        run, where = entry.run, entry.row or entry.run.id
        for name in run.arguments.keys() & run.inputs.keys():
            raise UserError(f"{where}: {name!r} stands under arguments and under inputs")
        methods.check(run.method, [*run.arguments, *run.inputs], where)
        for key, needed in entry.evaluations.items():
            where = entry.columns.get(key, entry.run.id)
            evaluation.check(needed.name, needed.parameters, where)


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
    examples = catalog.lookup(run.data.dataset).splits["train"]
    if run.data.limit is not None:
        examples = min(run.data.limit, examples)
    return math.ceil(examples / run.training.batch_size) * run.training.epochs
