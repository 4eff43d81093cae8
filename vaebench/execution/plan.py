"""The plan: the runs and evaluations that some tables need, against what the store holds.

Imports no torch, so that `show`, `status` and `--dry-run` answer at once.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from vaebench.data import catalog
from vaebench.registry.expansion import Expansion
from vaebench.registry.runs import Evaluation, Run
from vaebench.store.store import Record, Store, plain


@dataclass
class Work:
    """One run, what is to be evaluated on it, and what a training step is said to cost.

    `row` is the first row that asks for the run, `columns` the column that asks for an evaluation,
    both as `file: rows.NAME`, for messages.
    """

    run: Run
    evaluations: dict[str, Evaluation] = field(default_factory=dict)
    tables: list[str] = field(default_factory=list)
    step_ms: float | None = None
    row: str = ""
    columns: dict[str, str] = field(default_factory=dict)

    def missing(self, store: Store) -> list[Evaluation]:
        """The evaluations that the store does not hold."""
        return [e for e in self.evaluations.values() if not store.has_values(self.run, e)]


@dataclass(frozen=True)
class Plan:
    """Work by run id, every run after its inputs."""

    work: dict[str, Work]

    def open(self, store: Store) -> list[Work]:
        """What is still to be trained or evaluated, in order."""
        return [w for w in self.work.values() if store.record(w.run.id) is None or w.missing(store)]


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


def _entry(work: dict[str, Work], run: Run) -> Work:
    """The work on `run`, put behind the work on its inputs."""
    for needed in run.inputs:
        _entry(work, needed)
    return work.setdefault(run.id, Work(run))


def check_plan(plan: Plan) -> None:
    """UserError unless every method and evaluator exists and takes its arguments (loads torch)."""
    from vaebench import evaluation, methods

    for entry in plan.work.values():
        methods.check(entry.run.method, entry.run.arguments, entry.row or entry.run.id)
        for key, needed in entry.evaluations.items():
            where = entry.columns.get(key, entry.run.id)
            evaluation.check(needed.name, needed.parameters, where)


def estimate(entry: Work, records: Iterable[Record]) -> Cost:
    """What a run costs: as a finished run that differs in its seed alone, else by `step_ms`."""
    wanted = plain(entry.run.configuration) | {"seed": None}
    for record in records:
        if record["status"] == "done" and record["configuration"] | {"seed": None} == wanted:
            provenance = record["provenance"]
            seconds = provenance["training_seconds"] + provenance["evaluation_seconds"]
            return Cost(seconds, True, provenance["peak_mb"], provenance["disk_mb"])
    steps = step_count(entry.run)
    return Cost(None if entry.step_ms is None else steps * entry.step_ms / 1000, False)


def step_count(run: Run) -> int:
    """Training steps of a run."""
    examples = catalog.lookup(run.data.dataset).splits["train"]
    if run.data.limit is not None:
        examples = min(run.data.limit, examples)
    return math.ceil(examples / run.training.batch_size) * run.training.epochs
