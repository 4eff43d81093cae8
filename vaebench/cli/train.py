"""`vaebench train`: one run."""

import sys
from pathlib import Path

import click

from vaebench.cli.options import (
    complete_specs,
    data_option,
    plugin_option,
    results_option,
    scale_option,
)
from vaebench.data.folder import data_folder
from vaebench.errors import UserError, unknown
from vaebench.execution.plan import Plan, Work, check_plan
from vaebench.registry.expansion import Expansion, expand
from vaebench.registry.loading import load_table
from vaebench.registry.runs import Run
from vaebench.store.store import Store


@click.command("train")
@click.argument("table", shell_complete=complete_specs)
@click.option("--row", required=True, help="The row, as printed in the table's published CSV.")
@click.option("--group", help="The column group [default: the first that the row has].")
@click.option("--seed", type=int, default=0, show_default=True)
@scale_option
@click.option(
    "--device", metavar="cpu|cuda", help="Where to train [default: a GPU if there is one]."
)
@plugin_option
@results_option
@data_option
def command(
    table: str,
    row: str,
    group: str | None,
    seed: int,
    scale: str,
    device: str | None,
    store: Store,
    data_dir: Path | None,
) -> None:
    """Train one run of TABLE, without evaluating it, and print its id."""
    work = Work(find_run(expand(load_table(table, scale)), row, group, seed), tables=[table])
    plan = Plan({work.run.id: work})
    check_plan(plan)
    store.prepare()
    from vaebench.cli.run import execute_plan

    code = execute_plan(plan, store, data_folder(data_dir), device)
    click.echo(work.run.id)
    sys.exit(code)


def find_run(expansion: Expansion, row: str, group: str | None, seed: int) -> Run:
    """The run of a row, group and seed; UserError with the nearest names."""
    rows = dict.fromkeys(m.key.row for m in expansion.measurements)
    if row not in rows:
        raise unknown("row", row, rows)
    found = [m for m in expansion.measurements if m.key.row == row]
    groups = dict.fromkeys(m.key.group for m in found)
    if group is not None and group not in groups:
        raise unknown("group", group, groups)
    measurement = next(m for m in found if group in (None, m.key.group))
    for run in measurement.runs:
        if run.seed == seed:
            return run
    raise UserError(
        f"--seed {seed}: {expansion.spec.id} has seeds 0 to {len(measurement.runs) - 1}"
    )
