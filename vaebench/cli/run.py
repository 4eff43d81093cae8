"""`vaebench run`: what some tables need and the store does not hold."""

import signal
import sys
from pathlib import Path
from types import FrameType

import click

from vaebench.cli.options import (
    complete_specs,
    data_option,
    plugin_option,
    results_option,
    scale_option,
    selection_options,
)
from vaebench.cli.planning import show_plan
from vaebench.cli.targets import Targets, find_targets, runnable_tables
from vaebench.data.folder import data_folder
from vaebench.errors import UserError
from vaebench.execution.plan import Plan, check_plan
from vaebench.registry.expansion import Selection
from vaebench.store.store import Store


@click.command("run")
@click.argument("tables", nargs=-1, metavar="TABLE...", shell_complete=complete_specs)
@click.option("--all", "everything", is_flag=True, help="Every table whose methods exist.")
@scale_option
@selection_options
@click.option(
    "--device", metavar="cpu|cuda", help="Where to train [default: a GPU if there is one]."
)
@click.option("--dry-run", is_flag=True, help="Show the plan and its cost; train nothing.")
@plugin_option
@results_option
@data_option
def command(
    tables: tuple[str, ...],
    everything: bool,
    scale: str,
    selection: Selection,
    device: str | None,
    dry_run: bool,
    store: Store,
    data_dir: Path | None,
) -> None:
    """Train and evaluate what TABLE needs and the store does not hold.

    TABLE is an id of `vaebench list`, a figure, or the file of your own spec. Finished runs are
    kept and shared between tables; an interrupted run goes on from its last epoch.
    """
    if everything:
        tables = (*tables, *runnable_tables())
    if not tables:
        raise UserError("which table? `vaebench list` shows them; --all runs every one")
    targets = find_targets(dict.fromkeys(tables), scale, selection)
    check_plan(targets.plan)
    if dry_run:
        show_plan(targets, store)
        return
    store.prepare()
    code = execute_plan(targets.plan, store, data_folder(data_dir), device, targets)
    sys.exit(code)


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

    def after_run() -> None:
        if targets is not None:
            paths[:] = targets.write_summaries(store)

    try:
        with make_reporter() as reporter:
            outcome = run_plan(plan, store, data_dir, resolve(device), reporter, after_run)
        after_run()
    except KeyboardInterrupt:
        click.echo("stopped; the same command goes on from the last epoch", err=True)
        return 130
    for path in paths:
        click.echo(f"wrote {path}", err=True)
    if outcome.failed:
        click.echo(f"{outcome.counts['failed']} runs failed; `vaebench status` says why", err=True)
    return int(outcome.failed)


def _stop(signum: int, frame: FrameType | None) -> None:
    """A polite kill is answered as Ctrl-C is."""
    raise KeyboardInterrupt
