"""`vaebench run`: what some tables need and the store does not hold."""

import shlex
import signal
from pathlib import Path
from types import FrameType

import click

from vaebench.cli.planning import show_plan
from vaebench.cli.targets import Targets, find_targets, runnable_tables
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
    device: str | None,
    results: Path,
    data: Path,
) -> int:
    """Do what is open; the exit code."""
    targets = _checked_targets(tables, everything, scale, selection)
    store = Store(results)
    store.prepare()
    return execute_plan(targets.plan, store, data, device, targets)


def plan_only(
    tables: tuple[str, ...], everything: bool, scale: str, selection: Selection, results: Path
) -> None:
    """Print the plan and its cost."""
    show_plan(_checked_targets(tables, everything, scale, selection), Store(results))


def _checked_targets(
    tables: tuple[str, ...], everything: bool, scale: str, selection: Selection
) -> Targets:
    """The targets, with every method and evaluation known to exist."""
    if everything:
        tables = (*tables, *runnable_tables())
    if not tables:
        raise UserError("which table? `vaebench list` shows them; --all runs every one")
    targets = find_targets(dict.fromkeys(tables), scale, selection)
    check_plan(targets.plan)
    return targets


def execute_plan(
    plan: Plan, store: Store, data_dir: Path, device: str | None, targets: Targets | None = None
) -> int:
    """Do the plan's open work, with the CSVs of `targets` kept up to date; the exit code."""
    from vaebench.cli.progress import make_reporter
    from vaebench.execution.local import run_plan
    from vaebench.training.numerics import resolve

    signal.signal(signal.SIGTERM, _stop)
    waiting = len(plan.open(store))
    click.echo(f"{len(plan.work)} runs, {len(plan.work) - waiting} finished before", err=True)
    paths: list[str] = []
    unwritten: list[str] = []

    def after_run() -> None:
        """A CSV that cannot be written now is tried again after the next run."""
        unwritten.clear()
        try:
            paths[:] = targets.write_summaries(store) if targets is not None else []
        except (UserError, OSError) as error:
            unwritten.append(str(error))

    try:
        with make_reporter() as reporter:
            outcome = run_plan(plan, store, data_dir, resolve(device), reporter, after_run)
        after_run()
    except KeyboardInterrupt:
        click.echo("stopped; the same command goes on from the last epoch", err=True)
        return 130
    for path in paths if not unwritten else ():
        click.echo(f"wrote {path}", err=True)
    for reason in unwritten:
        click.echo(f"vaebench: {reason}", err=True)
    if outcome.failed:
        failed = outcome.counts["failed"]
        click.echo(f"{failed} runs failed; `{_status_command(targets)}` says why", err=True)
    return int(outcome.failed or bool(unwritten))


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
