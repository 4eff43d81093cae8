"""One command's way through a plan: what every backend does between two runs."""

import traceback
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from vaebench.data.loading import Views
from vaebench.errors import UserError
from vaebench.execution.plan import Costs, Work
from vaebench.execution.report import Reporter
from vaebench.execution.schedule import Schedule
from vaebench.execution.single import execute, needs_training_again
from vaebench.store.store import BusyError, Record, Store
from vaebench.training.numerics import Numerics

RETRAIN_NOTE = "its record has no weights here, and they are needed: trained again"
LOOK_EVERY = 1.0  # seconds between looks at runs that another process works on


@dataclass
class Outcome:
    """How many runs ended how: done, diverged or failed."""

    counts: Counter[str] = field(default_factory=Counter)

    @property
    def failed(self) -> bool:
        return self.counts["failed"] > 0


class Session:
    """The schedule of the open runs, and what is told and stored as they start and end."""

    def __init__(
        self,
        open_work: Iterable[Work],
        store: Store,
        reporter: Reporter,
        after_run: Callable[[], None],
    ) -> None:
        work = list(open_work)
        self.schedule = Schedule(work, Costs(store.records()).seconds(work))
        self.outcome = Outcome()
        self._store, self._reporter, self._after_run = store, reporter, after_run
        self._numbers: dict[str, int] = {}
        self._shown: set[str] = set()

    def take(self) -> Work | None:
        """The next run, told as started; None while none is ready."""
        work = self.schedule.take()
        if work is not None and work.run.id not in self._shown:
            note = RETRAIN_NOTE if needs_training_again(work, self._store) else None
            self._tell_start(work, note)
        return work

    def _tell_start(self, work: Work, note: str | None) -> None:
        self._shown.add(work.run.id)
        number = self._numbers.setdefault(work.run.id, len(self._numbers) + 1)
        self._reporter.run_started(work, number, self.schedule.size, note)

    def end(self, work: Work, status: str, detail: str | None) -> None:
        """A run that was taken has ended, or turned out `busy`: another process's."""
        self._shown.discard(work.run.id)
        if status == "busy":
            self.schedule.leave_elsewhere(work.run.id)
            self._reporter.run_done(work, "busy", "another process works on it")
            return
        self.outcome.counts[status] += 1
        self._reporter.run_done(work, status, detail)
        for lost, reason in self.schedule.end(work.run.id, usable=status == "done"):
            self.outcome.counts["failed"] += 1
            store_failure(lost, self._store, reason, "")
            self._tell_start(lost, None)
            self._reporter.run_done(lost, "failed", reason)
        self._after_run()

    def look_elsewhere(self) -> None:
        """Take back the runs that another process had and has no more: an attempt at one that it
        finished ends at once, and one that it left goes on."""
        for work in self.schedule.elsewhere:
            if not self._store.busy(work.run.id):
                self.schedule.put_back(work.run.id)


def attempt(
    work: Work,
    views: Views,
    store: Store,
    numerics: Numerics,
    reporter: Reporter,
    *,
    again: bool = False,
) -> tuple[str, str | None]:
    """Execute one run under its lock: its status, and the reason of a failure."""
    try:
        with store.lock(work.run.id):
            record: Record = execute(work, views, store, numerics, reporter, again=again)
    except BusyError:
        return "busy", None
    except Exception as error:
        reason = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
        return "failed", store_failure(work, store, reason, traceback.format_exc())
    return record["status"], record["reason"]


def store_failure(work: Work, store: Store, reason: str, trace: str) -> str:
    """Note why a run failed; the reason, with what kept it from being noted."""
    try:
        store.write_failure(work.run.id, reason, trace)
    except OSError as unwritable:
        return f"{reason} (and the reason could not be stored: {unwritable})"
    return reason
