"""The backend of several processes: each worker has one device and does one run at a time.

A worker that dies or shows no sign of life costs its own run one attempt and nothing else: the run
goes on from its checkpoint in a new worker, and fails when that happens twice without an epoch in
between.
"""

import multiprocessing
import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from multiprocessing import resource_tracker
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from vaebench import plugins
from vaebench.data.loading import Views
from vaebench.errors import UserError
from vaebench.execution.plan import Plan, Work
from vaebench.execution.report import Reporter
from vaebench.execution.session import LOOK_EVERY, Outcome, Session, store_failure
from vaebench.execution.slots import Slot
from vaebench.execution.worker import Assignment, serve
from vaebench.store import provenance
from vaebench.store.store import Store
from vaebench.training.numerics import Numerics

PATIENCE = 600.0  # seconds without a sign of life
_ATTEMPTS = 2
_GRACE = 2.0  # seconds for a polite stop

_spawn = multiprocessing.get_context("spawn")  # a forked torch shares locks and CUDA state


class Worker:
    """A process, the run it works on, and its last sign of life: a beat whose CPU time moved."""

    def __init__(self, slot: Slot, assignment: Assignment) -> None:
        self.slot = slot
        self.work: Work | None = None
        self.ready = False
        self.connection, theirs = _spawn.Pipe()
        self._cpu_seconds = -1.0
        self.alive_at = time.monotonic()
        self.process = _spawn.Process(target=serve, args=(theirs, assignment), daemon=True)
        with _environment(slot.environment), _no_interrupt():
            self.process.start()
        theirs.close()

    @property
    def idle(self) -> bool:
        return self.ready and self.work is None

    @property
    def silence(self) -> float:
        """Seconds since its last sign of life."""
        return time.monotonic() - self.alive_at

    def give(self, work: Work) -> None:
        self.work = work
        self.alive_at = time.monotonic()
        with suppress(OSError):  # it has just died; the next look finds it with its run
            self.connection.send(work)

    def beat(self, cpu_seconds: float) -> None:
        """A beat without CPU time since the last one comes from a worker that is stuck."""
        if cpu_seconds > self._cpu_seconds + 0.01 or self.work is None:
            self._cpu_seconds = cpu_seconds
            self.alive_at = time.monotonic()

    def messages(self) -> Iterator[tuple[Any, ...]]:
        """What the worker has told and nobody has read; nothing more once it is dead."""
        try:
            while self.connection.poll():
                yield self.connection.recv()
        except (EOFError, OSError):
            return

    def kill(self) -> None:
        self.process.kill()
        self.process.join()
        self.connection.close()

    def death(self) -> str:
        """How it died, in words."""
        code = self.process.exitcode
        if code == -signal.SIGKILL:
            return "its worker was killed (SIGKILL), as the system does when memory runs out"
        if code is not None and code < 0:
            return f"its worker died of {signal.Signals(-code).name}"
        return f"its worker ended with exit code {code}"


class Workers:
    """The workers of one command, from the first run to the last."""

    def __init__(
        self,
        session: Session,
        slots: list[Slot],
        assignment: Assignment,
        store: Store,
        reporter: Reporter,
        patience: float,
    ) -> None:
        self._session, self._store, self._reporter = session, store, reporter
        self._free, self._assignment, self._patience = list(slots), assignment, patience
        self._workers: list[Worker] = []
        self._deaths: Counter[str] = Counter()
        self._epochs: dict[str, int] = {}

    def run(self) -> None:
        """Do the whole schedule."""
        schedule, looked = self._session.schedule, 0.0
        try:
            while schedule.unfinished:
                self._hand_out()
                self._listen()
                if time.monotonic() - looked >= LOOK_EVERY:
                    looked = time.monotonic()
                    self._session.look_elsewhere()
        finally:
            self._stop()

    def _hand_out(self) -> None:
        """Give ready runs to idle workers, and start a worker for what nobody is free for."""
        for worker in self._workers:
            if worker.idle and (work := self._session.take()) is not None:
                worker.give(work)
        coming = sum(not worker.ready for worker in self._workers)
        while self._free and self._session.schedule.ready > coming:
            self._workers.append(Worker(self._free.pop(0), self._assignment))
            coming += 1

    def _listen(self) -> None:
        """Wait for the workers and hear them; bury the dead and the stuck."""
        ends: list[Any] = [worker.connection for worker in self._workers]
        if not ends:
            time.sleep(LOOK_EVERY)
            return
        wait([*ends, *(worker.process.sentinel for worker in self._workers)], timeout=LOOK_EVERY)
        for worker in list(self._workers):
            dead = not worker.process.is_alive()
            for event, *values in worker.messages():
                self._hear(worker, event, values)
            if dead:
                self._bury(worker, worker.death())
            elif worker.silence > (self._patience if worker.ready else PATIENCE):
                self._bury(worker, f"its worker showed no sign of life for {worker.silence:.0f} s")

    def _hear(self, worker: Worker, event: str, values: list[Any]) -> None:
        work = worker.work
        if event == "beat":
            worker.beat(*values)
        elif event == "ready":
            worker.ready = True
            self._deaths.pop("", None)
        elif event == "unable":
            raise UserError(f"a worker cannot start: {values[0]}")
        elif work is not None:
            worker.alive_at = time.monotonic()
            if event == "epoch":
                self._note_epoch(work, values[0])
                self._reporter.epoch_done(work, *values)
            elif event == "evaluating":
                self._reporter.evaluating(work, *values)
            elif event == "end":
                worker.work = None
                self._session.end(work, *values)

    def _note_epoch(self, work: Work, epoch: int) -> None:
        """Forget deaths when a run gets further than before. An epoch is told before its
        checkpoint is written, so the same one may be told again."""
        if epoch > self._epochs.get(work.run.id, 0):
            self._epochs[work.run.id] = epoch
            self._deaths.pop(work.run.id, None)

    def _bury(self, worker: Worker, death: str) -> None:
        """Remove a worker that is of no use; its run is tried again, or has failed."""
        worker.kill()
        self._workers.remove(worker)
        self._free.append(worker.slot)
        work = worker.work
        if work is None:
            self._deaths[""] += 1
            if self._deaths[""] > _ATTEMPTS and not worker.ready:
                raise UserError(f"no worker can start here ({death}); --jobs 1 does without")
            return
        self._deaths[work.run.id] += 1
        if self._deaths[work.run.id] < _ATTEMPTS:
            self._reporter.run_again(work, death)
            self._session.schedule.put_back(work.run.id)
        else:
            reason = store_failure(work, self._store, death, "")
            self._session.end(work, "failed", reason)

    def _stop(self) -> None:
        """End every worker: those at work leave politely, what they have on disk stays."""
        for worker in self._workers:
            worker.process.terminate()
        deadline = time.monotonic() + _GRACE
        for worker in self._workers:
            worker.process.join(max(0.0, deadline - time.monotonic()))
            worker.kill()


def run_plan(
    plan: Plan,
    store: Store,
    data_dir: Path,
    numerics: Numerics,
    reporter: Reporter,
    after_run: Callable[[], None] = lambda: None,
    *,
    slots: list[Slot],
    patience: float = PATIENCE,
) -> Outcome:
    """Do what is open, at most one run a slot at a time. A run that fails fails alone; missing data
    stops before anything starts. Runs that another process works on are waited for, and taken over
    if it leaves them."""
    open_work = plan.open(store)
    Views(data_dir).require(view for entry in open_work for view in entry.views)
    session = Session(open_work, store, reporter, after_run)
    assignment = Assignment(
        store.root.absolute(),
        data_dir.absolute(),
        numerics.as_dict(),
        plugins.loaded(),
        provenance.code(),
    )
    Workers(session, slots, assignment, store, reporter, patience).run()
    return session.outcome


@contextmanager
def _no_interrupt() -> Iterator[None]:
    """Ctrl-C reaches the whole process group; what starts meanwhile never sees it, not even before
    it can say so itself, and we see it afterwards."""
    resource_tracker.ensure_running()  # its start would lift our mask
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """These variables in our environment, which a process that starts meanwhile inherits."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
