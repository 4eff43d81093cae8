"""A worker process: takes runs from a pipe, executes them, tells how they go."""

import os
import signal
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from vaebench.execution.plan import Work
from vaebench.execution.report import Reporter
from vaebench.store import atomic

BEAT_EVERY = 0.5  # seconds


@dataclass(frozen=True)
class Assignment:
    """What all runs of a worker share; plain values, so that they travel."""

    results: Path
    data: Path
    numerics: dict[str, Any]
    plugins: tuple[str, ...]
    code: dict[str, Any]


class Pipe(Reporter):
    """Tells the other end of the pipe: `(event, *values)`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._turn = threading.Lock()

    def tell(self, event: str, *values: Any) -> None:
        with self._turn:
            try:
                self._connection.send((event, *values))
            except OSError:
                leave()

    def next_work(self) -> Work | None:
        """Wait for the next run; None after the last."""
        try:
            work: Work | None = self._connection.recv()
        except (EOFError, OSError):
            leave()
        return work

    def epoch_done(self, work: Work, epoch: int, terms: dict[str, float]) -> None:
        self.tell("epoch", epoch, terms)

    def evaluating(self, work: Work, name: str) -> None:
        self.tell("evaluating", name)


def serve(connection: Connection, assignment: Assignment) -> None:
    """Execute one run after the other until None comes; the main function of a worker.

    Whoever started it answers Ctrl-C. Without that process it ends at the next beat.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})  # blocked until it is ignored
    signal.signal(signal.SIGTERM, _stop)
    pipe = Pipe(connection)
    threading.Thread(target=_beat, args=(pipe,), daemon=True).start()

    from vaebench import plugins
    from vaebench.data.loading import Views
    from vaebench.errors import UserError
    from vaebench.execution.session import attempt
    from vaebench.store import provenance
    from vaebench.store.store import Store
    from vaebench.training.allocator import keep_freed_memory
    from vaebench.training.numerics import Numerics

    keep_freed_memory()
    provenance.adopt_code(assignment.code)
    try:
        plugins.load(assignment.plugins)
    except Exception as error:  # a plugin may raise anything
        known = isinstance(error, UserError)
        pipe.tell("unable", str(error) if known else f"{type(error).__name__}: {error}")
        return
    store, views = Store(assignment.results), Views(assignment.data)
    numerics = Numerics(**assignment.numerics)
    pipe.tell("ready")
    while (work := pipe.next_work()) is not None:
        status, detail = attempt(work, views, store, numerics, pipe)
        pipe.tell("end", status, detail)


def _beat(pipe: Pipe) -> None:
    """Tell the CPU time that this process has used, but for this thread, for ever."""
    while True:
        pipe.tell("beat", time.process_time() - time.thread_time())
        time.sleep(BEAT_EVERY)


def leave() -> NoReturn:
    """Nobody is at the other end: end at once, with no word about the run, which has not failed.
    What is on disk is whole at any moment."""
    os._exit(1)


def _stop(signum: int, frame: FrameType | None) -> NoReturn:
    """A polite kill ends it at once: an exception would have to find its way through torch's own
    code, which aborts on some."""
    atomic.abandon()
    os._exit(1)
