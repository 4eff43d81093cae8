"""Which run comes next: inputs before what needs them, the longest way to the end first.

Pure bookkeeping that every backend drives: no files, no processes, no torch.
"""

import heapq
from collections.abc import Iterable, Mapping

from vaebench.execution.plan import Work


class Schedule:
    """The open runs of a plan, each in one of these states:

    waiting (for an input) → ready → taken → ended, with a way aside for a run that another process
    works on: taken → elsewhere → ready or ended.
    """

    def __init__(self, work: Iterable[Work], seconds: Mapping[str, float]) -> None:
        """`work` holds every run that is open, inputs first; `seconds` is what each costs."""
        self._work = {entry.run.id: entry for entry in work}
        self._inputs = {
            run_id: {i for i in entry.inputs if i in self._work}
            for run_id, entry in self._work.items()
        }
        self._length = self._lengths(seconds)
        self._ready: list[tuple[float, int, str]] = []
        self._taken: set[str] = set()
        self._elsewhere: dict[str, None] = {}
        self._ended: set[str] = set()
        self._order = {run_id: number for number, run_id in enumerate(self._work)}
        for run_id, inputs in self._inputs.items():
            if not inputs:
                self._make_ready(run_id)

    def _lengths(self, seconds: Mapping[str, float]) -> dict[str, float]:
        """Seconds from the start of a run to the end of the longest chain that begins with it."""
        after: dict[str, float] = dict.fromkeys(self._work, 0.0)
        length = {}
        for run_id in reversed(self._work):
            length[run_id] = seconds.get(run_id, 0.0) + after[run_id]
            for needed in self._inputs[run_id]:
                after[needed] = max(after[needed], length[run_id])
        return length

    @property
    def size(self) -> int:
        """The number of runs, whatever their state."""
        return len(self._work)

    @property
    def unfinished(self) -> bool:
        """Whether any run has not ended."""
        return len(self._ended) < len(self._work)

    @property
    def elsewhere(self) -> list[Work]:
        """The runs that another process works on."""
        return [self._work[run_id] for run_id in self._elsewhere]

    @property
    def ready(self) -> int:
        """How many runs `take` would give now."""
        return len(self._ready)

    def take(self) -> Work | None:
        """The ready run at the head of the longest chain; None while none is ready."""
        if not self._ready:
            return None
        _, _, run_id = heapq.heappop(self._ready)
        self._taken.add(run_id)
        return self._work[run_id]

    def put_back(self, run_id: str) -> None:
        """A run that was taken, or that another process had, is free again."""
        self._leave(run_id)
        self._make_ready(run_id)

    def leave_elsewhere(self, run_id: str) -> None:
        """A run that was taken turned out to be another process's."""
        self._leave(run_id)
        self._elsewhere[run_id] = None

    def end(self, run_id: str, *, usable: bool) -> list[tuple[Work, str]]:
        """A run has ended. What needed it becomes ready if the run is `usable` (done, not failed or
        diverged), else it ends too: those are returned, each with its reason."""
        self._leave(run_id)
        self._ended.add(run_id)
        lost: list[tuple[Work, str]] = []
        for other, inputs in self._inputs.items():
            if run_id not in inputs or other in self._ended:
                continue
            if usable:
                inputs.discard(run_id)
                if not inputs:
                    self._make_ready(other)
            else:
                lost.append((self._work[other], f"its input {run_id} did not end well"))
                lost += self.end(other, usable=False)
        return lost

    def _make_ready(self, run_id: str) -> None:
        # Equal lengths go in the order of the plan, which is that of the table.
        heapq.heappush(self._ready, (-self._length[run_id], self._order[run_id], run_id))

    def _leave(self, run_id: str) -> None:
        self._taken.discard(run_id)
        self._elsewhere.pop(run_id, None)
