"""`vaebench train`: one run."""

from pathlib import Path

import click

from vaebench.cli.crew import Crew
from vaebench.cli.run import execute_plan
from vaebench.cli.targets import expand_table
from vaebench.errors import UserError, unknown
from vaebench.execution.plan import Work, check_plan, plan_of
from vaebench.registry.expansion import Expansion
from vaebench.registry.runs import Run
from vaebench.registry.selection import EVERYTHING
from vaebench.store.store import Store


def train(
    table: str,
    row: str,
    group: str | None,
    seed: int,
    scale: str,
    device: str | None,
    results: Path,
    data: Path,
) -> int:
    """Train one run and print its id; the exit code."""
    store = Store(results)
    expansion = expand_table(table, scale, EVERYTHING)
    place = f"{expansion.spec.source}: rows.{row}"
    work = Work(find_run(expansion, row, group, seed), tables=[table], place=place)
    plan = plan_of(work)
    check_plan(plan)
    store.prepare()
    code = execute_plan(plan, store, data, Crew(jobs=1, device=device))
    click.echo(work.run.id)
    return code


def find_run(expansion: Expansion, row: str, group: str | None, seed: int) -> Run:
    """The run of a row, group and seed; UserError with the nearest names."""
    rows = dict.fromkeys(m.key.row for m in expansion.measurements)
    if row not in rows:
        raise unknown("row", row, rows)
    found = [m for m in expansion.measurements if m.key.row == row and m.column.run is None]
    groups = dict.fromkeys(m.key.group for m in found)
    if group is not None and group not in groups:
        raise unknown("group", group, groups)
    chosen = group or next(iter(groups))
    runs = {
        run.seed: run
        for m in found
        if m.key.group == chosen and m.column.run is None
        for run in m.runs
    }
    if seed not in runs:
        raise UserError(f"--seed {seed}: {expansion.spec.id} has seeds 0 to {max(runs)}")
    return runs[seed]
