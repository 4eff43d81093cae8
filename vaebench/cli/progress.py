"""How a run shows itself: a live bar on a terminal, one line an event in a pipe."""

import sys
import time
from types import TracebackType
from typing import Self

import click

from vaebench.execution.plan import Work
from vaebench.execution.report import Reporter


class PlainReporter(Reporter):
    """Lines on stderr: the start and end of each run, and now and then an epoch."""

    every_seconds = 15.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return None

    def say(self, text: str) -> None:
        click.echo(text, err=True)

    def run_started(self, work: Work, number: int, total: int, note: str | None) -> None:
        self.head = f"[{number}/{total}] {work.run.sentence}"
        self.started = self.last = time.monotonic()
        self.say(self.head + (f" ({note})" if note else ""))

    def epoch_done(self, work: Work, epoch: int, terms: dict[str, float]) -> None:
        now = time.monotonic()
        if now - self.last >= self.every_seconds:
            self.last = now
            self.say(f"  {_epoch(work, epoch, terms)}")

    def run_done(self, work: Work, outcome: str, detail: str | None) -> None:
        seconds = time.monotonic() - self.started
        self.say(f"  {outcome} in {seconds:.0f} s" + (f": {detail}" if detail else ""))


class LiveReporter(PlainReporter):
    """A rich bar: runs done, the run at work, its epoch and loss, time left."""

    def __enter__(self) -> Self:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        self.bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[detail]}"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self.bar.start()
        self.runs = self.bar.add_task("runs", total=None, detail="")
        self.epochs = self.bar.add_task("epoch", total=None, detail="")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.bar.stop()

    def say(self, text: str) -> None:
        self.bar.console.print(text, markup=False, highlight=False)

    def run_started(self, work: Work, number: int, total: int, note: str | None) -> None:
        self.started = time.monotonic()
        self.bar.update(self.runs, total=total, completed=number - 1, detail=work.run.sentence)
        self.bar.reset(self.epochs, total=work.run.training.epochs, detail=note or "")

    def epoch_done(self, work: Work, epoch: int, terms: dict[str, float]) -> None:
        self.bar.update(self.epochs, completed=epoch, detail=f"loss {terms['loss']:.2f}")

    def evaluating(self, work: Work, name: str) -> None:
        self.bar.update(self.epochs, detail=f"evaluating {name}")

    def run_done(self, work: Work, outcome: str, detail: str | None) -> None:
        seconds = time.monotonic() - self.started
        tail = f": {detail}" if detail else ""
        self.say(f"{outcome} in {seconds:.0f} s  {work.run.sentence}{tail}")
        self.bar.advance(self.runs)


def make_reporter() -> PlainReporter:
    """The reporter that fits where stderr goes."""
    return LiveReporter() if sys.stderr.isatty() else PlainReporter()


def _epoch(work: Work, epoch: int, terms: dict[str, float]) -> str:
    shown = ", ".join(f"{name} {value:.2f}" for name, value in terms.items())
    return f"epoch {epoch}/{work.run.training.epochs}: {shown}"
