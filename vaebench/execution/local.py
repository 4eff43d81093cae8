"""The plain backend: the plan's runs, one after the other in this process."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from vaebench.data.loading import Views
from vaebench.execution.plan import Plan, Work
from vaebench.execution.report import Reporter
from vaebench.execution.session import LOOK_EVERY, Outcome, Session, attempt
from vaebench.store import provenance
from vaebench.store.store import Record, Store
from vaebench.training.allocator import keep_freed_memory
from vaebench.training.numerics import Numerics, resolve


def run_plan(
    plan: Plan,
    store: Store,
    data_dir: Path,
    numerics: Numerics,
    reporter: Reporter,
    after_run: Callable[[], None] = lambda: None,
) -> Outcome:
    """Do what is open. A run that fails fails alone; missing data stops before anything starts.
    Runs that another process works on are waited for, and taken over if it leaves them."""
    provenance.code()  # as it is now
    keep_freed_memory()
    views = Views(data_dir)
    open_work = plan.open(store)
    views.require(view for entry in open_work for view in entry.views)
    session = Session(open_work, store, reporter, after_run)
    while session.schedule.unfinished:
        work = session.take()
        if work is None:
            time.sleep(LOOK_EVERY)
        else:
            session.end(work, *attempt(work, views, store, numerics, reporter))
        session.look_elsewhere()
    return session.outcome


def evaluate_again(
    work: list[Work], store: Store, data_dir: Path, reporter: Reporter
) -> Iterator[tuple[str, str | None]]:
    """Repeat evaluations of finished runs: each id with what changed, None where it failed."""
    views = Views(data_dir)
    views.require(view for entry in work for view in entry.views)
    for number, entry in enumerate(work, start=1):
        before = store.record(entry.run.id)
        numerics = Numerics(**before["provenance"]["numerics"]) if before else resolve()
        reporter.run_started(entry, number, len(work), None)
        status, detail = attempt(entry, views, store, numerics, reporter, again=True)
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
