"""The local backend: the plan's runs, one after the other in this process."""

import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from vaebench.data.loading import Dataset, load
from vaebench.errors import UserError
from vaebench.execution.plan import Plan, Work
from vaebench.execution.report import Reporter
from vaebench.execution.single import execute, needs_training_again
from vaebench.registry.canonical import canonical
from vaebench.registry.runs import DataView
from vaebench.store import provenance
from vaebench.store.store import BusyError, Record, Store
from vaebench.training.numerics import Numerics, resolve

RETRAIN_NOTE = "its record has no weights here, and a new evaluation needs them: trained again"


@dataclass
class Outcome:
    """How many runs ended how."""

    counts: Counter[str] = field(default_factory=Counter)

    @property
    def failed(self) -> bool:
        return self.counts["failed"] > 0


def run_plan(
    plan: Plan,
    store: Store,
    data_dir: Path,
    numerics: Numerics,
    reporter: Reporter,
    after_run: Callable[[], None] = lambda: None,
) -> Outcome:
    """Do what is open. A run that fails fails alone; missing data stops before anything starts."""
    provenance.code()  # read now: a commit made while runs go on is not the code that made them
    outcome = Outcome()
    open_work = plan.open(store)
    data = load_views(open_work, data_dir)
    for number, work in enumerate(open_work, start=1):
        note = RETRAIN_NOTE if needs_training_again(work, store) else None
        reporter.run_started(work, number, len(open_work), note)
        status, detail = attempt(work, data, store, numerics, reporter)
        outcome.counts[status] += 1
        reporter.run_done(work, status, detail)
        after_run()
    return outcome


def evaluate_again(
    work: list[Work], store: Store, data_dir: Path, reporter: Reporter
) -> Iterator[tuple[str, str | None]]:
    """Repeat evaluations of finished runs: each id with what changed, None where it failed."""
    data = load_views(work, data_dir)
    for number, entry in enumerate(work, start=1):
        before = store.record(entry.run.id)
        numerics = Numerics(**before["provenance"]["numerics"]) if before else resolve()
        reporter.run_started(entry, number, len(work), None)
        status, detail = attempt(entry, data, store, numerics, reporter, again=True)
        reporter.run_done(entry, status, detail)
        after = store.record(entry.run.id)
        if status != "done" or before is None or after is None:
            yield entry.run.id, None
        else:
            yield entry.run.id, _changes(before, after)


def _changes(before: Record, after: Record) -> str:
    """The values that differ, old and new."""
    told = []
    for key, entry in after["evaluations"].items():
        old = before["evaluations"].get(key, {"values": {}})["values"]
        for name, value in entry["values"].items():
            if old.get(name) != value:
                told.append(f"{key} {name} {old.get(name)} -> {value}")
    return "; ".join(told)


def load_views(work: list[Work], data_dir: Path) -> dict[str, Dataset]:
    """Every view that the work needs, by its canonical name."""
    views = {_view_key(entry.run.data): entry.run.data for entry in work}
    return {key: load(view, data_dir) for key, view in views.items()}


def attempt(
    work: Work,
    data: dict[str, Dataset],
    store: Store,
    numerics: Numerics,
    reporter: Reporter,
    *,
    again: bool = False,
) -> tuple[str, str | None]:
    """Execute one run under its lock: its status, and the reason of a failure."""
    try:
        with store.lock(work.run.id):
            view = data[_view_key(work.run.data)]
            record: Record = execute(work, view, store, numerics, reporter, again=again)
    except BusyError:
        return "busy", "another process works on it"
    except Exception as error:
        reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        try:
            store.write_failure(work.run.id, reason, traceback.format_exc())
        except OSError as unwritable:
            reason += f" (and the reason could not be stored: {unwritable})"
        return "failed", reason
    return record["status"], record["reason"]


def _view_key(view: DataView) -> str:
    return canonical(view.model_dump(exclude_none=True))
