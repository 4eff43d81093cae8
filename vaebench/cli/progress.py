"""How a run shows itself: a live bar on a terminal, one line an event in a pipe."""

import sys
import time
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import click

from vaebench.execution.plan import Work
from vaebench.execution.report import Reporter


@dataclass
class Shown:
    """A run at work: its name in the lines, when it started and when it was last told of."""

    name: str
    started: float
    told: float
    bar: Any = None


class PlainReporter(Reporter):
    """Lines on stderr: the start and end of each run, and now and then an epoch."""

    every_seconds = 15.0

    def __init__(self) -> None:
        self.shown: dict[str, Shown] = {}

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
        now = time.monotonic()
        self.shown[work.run.id] = Shown(f"[{number}/{total}]", now, now)
        self.say(f"[{number}/{total}] {work.run.sentence}" + (f" ({note})" if note else ""))

    def epoch_done(self, work: Work, epoch: int, terms: dict[str, float]) -> None:
        shown, now = self.shown[work.run.id], time.monotonic()
        if now - shown.told >= self.every_seconds:
            shown.told = now
            self.say(f"{shown.name} {_epoch(work, epoch, terms)}")

    def run_again(self, work: Work, reason: str) -> None:
        self.say(f"{self.shown[work.run.id].name} goes on in a new worker: {reason}")

    def run_done(self, work: Work, outcome: str, detail: str | None) -> None:
        shown = self.shown.pop(work.run.id)
        seconds = time.monotonic() - shown.started
        tail = f": {detail}" if detail else ""
        self.say(f"{shown.name} {outcome} in {seconds:.0f} s{tail}")


class LiveReporter(PlainReporter):
    """Rich bars: runs done and time left; for each run at work its epoch and loss."""

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
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[detail]}", markup=False),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self.bar.start()
        self.runs = self.bar.add_task("runs", total=None, detail="")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.bar.stop()

    def say(self, text: str) -> None:
        # A line too long for the terminal stays one line, so that it can be copied.
        self.bar.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def run_started(self, work: Work, number: int, total: int, note: str | None) -> None:
        now = time.monotonic()
        self.bar.update(self.runs, total=total)
        name = f"[{number}/{total}]"
        line = self.bar.add_task(
            f"{name} {work.run.method} seed {work.run.seed}",
            total=work.run.epochs,
            detail="",
        )
        if note:
            self.say(f"{name} {work.run.sentence} ({note})")
        self.shown[work.run.id] = Shown(name, now, now, line)

    def epoch_done(self, work: Work, epoch: int, terms: dict[str, float]) -> None:
        line = self.shown[work.run.id].bar
        self.bar.update(line, completed=epoch, detail=f"loss {terms['loss']:.2f}")

    def evaluating(self, work: Work, name: str) -> None:
        self.bar.update(self.shown[work.run.id].bar, detail=f"evaluating {name}")

    def run_done(self, work: Work, outcome: str, detail: str | None) -> None:
        shown = self.shown.pop(work.run.id)
        seconds = time.monotonic() - shown.started
        tail = f": {detail}" if detail else ""
        self.bar.remove_task(shown.bar)
        self.say(f"{shown.name} {outcome} in {seconds:.0f} s: {work.run.sentence}{tail}")
        if outcome != "busy":
            self.bar.advance(self.runs)


def make_reporter() -> PlainReporter:
    """The reporter that fits where stderr goes."""
    return LiveReporter() if sys.stderr.isatty() else PlainReporter()


def _epoch(work: Work, epoch: int, terms: dict[str, float]) -> str:
    shown = ", ".join(f"{name} {value:.2f}" for name, value in terms.items())
    return f"epoch {epoch}/{work.run.epochs}: {shown}"
