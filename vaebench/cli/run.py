"""`vaebench run`: what some tables need and the store does not hold."""

import shlex
import signal
import time
from dataclasses import replace
from pathlib import Path
from types import FrameType

import click

from vaebench.cli.crew import Crew
from vaebench.cli.planning import show_plan
from vaebench.cli.targets import Targets, find_targets, runnable_tables
from vaebench.data.catalog import lookup_weights
from vaebench.data.folder import fetch_command
from vaebench.data.weights import absent_weights
from vaebench.errors import UserError
from vaebench.execution.plan import Plan, check_plan
from vaebench.registry.loading import typed_name
from vaebench.registry.selection import Selection
from vaebench.store.store import Store


def run(
    tables: tuple[str, ...],
    everything: bool,
    scale: str,
    selection: Selection,
    crew: Crew,
    results: Path,
    data: Path,
) -> int:
    """Do what is open; the exit code."""
    targets = _checked_targets(tables, everything, scale, selection, data)
    store = Store(results)
    store.prepare()
    return execute_plan(targets.plan, store, data, crew, targets)


def plan_only(
    tables: tuple[str, ...],
    everything: bool,
    scale: str,
    selection: Selection,
    results: Path,
    data: Path,
) -> None:
    """Print the plan and its cost."""
    show_plan(_checked_targets(tables, everything, scale, selection, data), Store(results))


def _checked_targets(
    tables: tuple[str, ...], everything: bool, scale: str, selection: Selection, data: Path
) -> Targets:
    """The targets, with every method and evaluation known to exist; evaluations that take weights
    which are not there are left out, and it is said."""
    if everything:
        tables = (*tables, *runnable_tables())
    if not tables:
        raise UserError("which table? `vaebench list` shows them; --all runs every one")
    targets = find_targets(dict.fromkeys(tables), scale, selection)
    check_plan(targets.plan)
    absent = absent_weights(targets.plan.files, data)
    for name in absent:
        command = fetch_command(lookup_weights(name), data)
        click.echo(f"columns that need the {name} weights stay open; `{command}`", err=True)
    return replace(targets, plan=targets.plan.without_files(absent))


def execute_plan(
    plan: Plan, store: Store, data_dir: Path, crew: Crew, targets: Targets | None = None
) -> int:
    """Do the plan's open work, with the CSVs of `targets` kept up to date; the exit code."""
    from vaebench.cli.progress import make_reporter

    signal.signal(signal.SIGTERM, _stop)
    open_runs = len(plan.open(store))
    numerics = crew.numerics()
    run_plan = crew.backend(open_runs, numerics.device)
    click.echo(f"{len(plan.work)} runs, {len(plan.work) - open_runs} finished before", err=True)
    summaries = _Summaries(targets, store)
    try:
        with make_reporter() as reporter:
            outcome = run_plan(plan, store, data_dir, numerics, reporter, summaries.after_run)
        summaries.write()
    except KeyboardInterrupt:
        summaries.write()  # the last runs that ended may not be in it yet
        click.echo("stopped; the same command goes on from the last epoch", err=True)
        return 130
    for line in summaries.told:
        click.echo(line, err=True)
    if outcome.failed:
        failed = outcome.counts["failed"]
        click.echo(f"{failed} runs failed; `{_status_command(targets)}` says why", err=True)
    return int(outcome.failed or summaries.failed)


class _Summaries:
    """The CSVs of a command's tables, written now and then while runs end, and at the end."""

    every_seconds = 5.0

    def __init__(self, targets: Targets | None, store: Store) -> None:
        self._targets, self._store = targets, store
        self._written = time.monotonic()
        self.failed = False
        self.told: list[str] = []

    def after_run(self) -> None:
        """Write unless that was a moment ago: a CSV takes every record of its table."""
        if time.monotonic() - self._written >= self.every_seconds:
            self.write()

    def write(self) -> None:
        """Write; one that cannot be written now is tried again the next time."""
        self.failed = False
        try:
            paths = self._targets.write_summaries(self._store) if self._targets else []
            self.told = [f"wrote {path}" for path in paths]
        except (UserError, OSError) as error:
            self.failed = True
            self.told = [f"vaebench: {error}"]
        self._written = time.monotonic()


def _status_command(targets: Targets | None) -> str:
    """The command that shows these runs."""
    if targets is None:
        return "vaebench status"
    words = dict.fromkeys(typed_name(expansion.spec) for expansion in targets.expansions)
    selection = targets.selection
    options = ["--scale", targets.scale] if targets.scale != "paper" else []
    options += ["--limit", str(selection.limit)] if selection.limit is not None else []
    options += [word for setting in selection.settings for word in ("--set", setting)]
    return shlex.join(["vaebench", "status", *words, *options])


def _stop(signum: int, frame: FrameType | None) -> None:
    """A polite kill is answered as Ctrl-C is."""
    raise KeyboardInterrupt
