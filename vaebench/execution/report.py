"""What execution tells whoever watches; the default tells nobody."""

from vaebench.execution.plan import Work


class Reporter:
    """Called as work goes on; `number` of `total` counts the plan's open runs from 1."""

    def run_started(self, work: Work, number: int, total: int, note: str | None) -> None:
        """A run starts or goes on; `note` says what is special about it."""

    def epoch_done(self, work: Work, epoch: int, terms: dict[str, float]) -> None:
        """An epoch ended; `terms` are its means."""

    def evaluating(self, work: Work, name: str) -> None:
        """An evaluation starts."""

    def run_again(self, work: Work, reason: str) -> None:
        """The worker of a run is gone; another one goes on with it."""

    def run_done(self, work: Work, outcome: str, detail: str | None) -> None:
        """A run ended as `done`, `diverged`, `failed` or `busy` (another process has it)."""
