"""Every command as it is typed: arguments, options, help. Each hands over to its module.

This module imports no more than the declarations need, so that `--help` and the shell's completion
answer at once; an action is imported when its command runs.
"""

import sys
from pathlib import Path

import click

from vaebench.cli.crew import Crew
from vaebench.cli.options import (
    change_options,
    complete_data,
    complete_specs,
    crew_options,
    data_option,
    device_option,
    plugin_option,
    results_option,
    scale_option,
    selection_options,
)
from vaebench.registry.names import PAPERS
from vaebench.registry.selection import Selection


@click.command("list")
@click.option("--paper", help="Only this paper: " + ", ".join(PAPERS) + ".")
@results_option
def list_command(paper: str | None, results: Path) -> None:
    """Tables and figures: what there is and what is already measured."""
    from vaebench.cli.listing import list_specs

    list_specs(paper, results)


@click.command("show")
@click.argument("table", shell_complete=complete_specs)
@scale_option
@click.option("--yaml", "as_yaml", is_flag=True, help="The spec itself, to copy and change.")
@plugin_option
@results_option
def show_command(table: str, scale: str, as_yaml: bool, results: Path) -> None:
    """One table: rows, columns, runs, cost, runs shared with other tables."""
    from vaebench.cli.show import show, show_yaml

    if as_yaml:
        show_yaml(table)
    else:
        show(table, scale, results)


@click.command("fetch-data")
@click.argument("names", nargs=-1, metavar="[NAME]...", shell_complete=complete_data)
@click.option(
    "--from",
    "source",
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="Take the files from this folder, or this one file; no network.",
)
@click.option("--check", "check_only", is_flag=True, help="Only hold files against checksums.")
@data_option
def fetch_data_command(
    names: tuple[str, ...], source: Path | None, check_only: bool, data: Path
) -> None:
    """Download, import or check data sets and weights; without NAME, list them.

    \b
    vaebench fetch-data mnist                  download
    vaebench fetch-data mnist --from DIR       import files you have, packed or not
    vaebench fetch-data inception --from FILE  or a single one
    vaebench fetch-data --check                verify all that is there
    """
    from vaebench.cli.fetch_data import fetch_data

    sys.exit(fetch_data(names, source, check_only, data))


@click.command("run")
@click.argument("tables", nargs=-1, metavar="TABLE...", shell_complete=complete_specs)
@click.option("--all", "everything", is_flag=True, help="Every table whose methods exist.")
@scale_option
@selection_options
@crew_options
@click.option("--dry-run", is_flag=True, help="Show the plan and its cost; train nothing.")
@plugin_option
@results_option
@data_option
def run_command(
    tables: tuple[str, ...],
    everything: bool,
    scale: str,
    selection: Selection,
    crew: Crew,
    dry_run: bool,
    results: Path,
    data: Path,
) -> None:
    """Train and evaluate what TABLE needs and the store does not hold.

    TABLE is an id of `vaebench list`, a figure, or the file of your own spec. Finished runs are
    kept and shared between tables; an interrupted run goes on from its last epoch.
    """
    from vaebench.cli.run import plan_only, run

    if dry_run:
        plan_only(tables, everything, scale, selection, results, data)
    else:
        sys.exit(run(tables, everything, scale, selection, crew, results, data))


@click.command("train")
@click.argument("table", shell_complete=complete_specs)
@click.option("--row", required=True, help="The row, as in the table's published CSV.")
@click.option("--group", help="The column group [default: the first that the row has].")
@click.option("--seed", type=int, default=0, show_default=True)
@scale_option
@device_option
@plugin_option
@results_option
@data_option
def train_command(
    table: str,
    row: str,
    group: str | None,
    seed: int,
    scale: str,
    device: str | None,
    results: Path,
    data: Path,
) -> None:
    """Train one run of TABLE, without evaluating it, and print its id."""
    from vaebench.cli.train import train

    sys.exit(train(table, row, group, seed, scale, device, results, data))


@click.command("eval")
@click.argument("target", metavar="TABLE|RUN_ID", shell_complete=complete_specs)
@click.option("--evaluation", help="Only this evaluation.")
@scale_option
@selection_options
@plugin_option
@results_option
@data_option
def eval_command(
    target: str,
    evaluation: str | None,
    scale: str,
    selection: Selection,
    results: Path,
    data: Path,
) -> None:
    """Evaluate finished runs again, and say which values changed."""
    from vaebench.cli.eval import evaluate

    sys.exit(evaluate(target, evaluation, scale, selection, results, data))


@click.command("table")
@click.argument("table", shell_complete=complete_specs)
@scale_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["md", "console", "csv", "latex", "html", "json"]),
    help="latex needs booktabs; html is a page of its own; json are the cells with what is behind "
    "them [default: console on a terminal, md in a pipe].",
)
@click.option(
    "--show",
    type=click.Choice(["ours", "published", "both"]),
    default="both",
    show_default=True,
    help="Whose numbers.",
)
@selection_options
@plugin_option
@results_option
def table_command(
    table: str, scale: str, form: str | None, show: str, selection: Selection, results: Path
) -> None:
    """A table in the paper's layout, the paper's numbers beside ours.

    It renders at any time, with holes for what is not measured yet.
    """
    from vaebench.cli.table import show_table

    show_table(table, scale, form, show, selection, results)


@click.command("explain")
@click.argument("table", shell_complete=complete_specs)
@click.argument("row")
@click.argument("column")
@click.option("--group", help="The column group, where several have this row and column.")
@scale_option
@change_options
@plugin_option
@results_option
def explain_command(
    table: str,
    row: str,
    column: str,
    group: str | None,
    scale: str,
    selection: Selection,
    results: Path,
) -> None:
    """One number: where the paper's and ours come from.

    ROW and COLUMN are those of the CSV (`vaebench table TABLE --format csv`); part of a name is
    enough.

    \b
    vaebench explain igp-table12 'VAE, DGP' Rec.
    """
    from vaebench.cli.explain import explain_cell

    explain_cell(table, row, group, column, scale, selection, results)


@click.command("plot")
@click.argument("target", metavar="FIGURE|TABLE", shell_complete=complete_specs)
@scale_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["png", "svg", "pdf"]),
    default="png",
    show_default=True,
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file [default: figures/ in the results folder].",
)
@selection_options
@plugin_option
@results_option
def plot_command(
    target: str, scale: str, form: str, out: Path | None, selection: Selection, results: Path
) -> None:
    """A figure of a paper, or the learning curves of a table.

    A figure is drawn from what `vaebench run FIGURE` made.
    """
    from vaebench.cli.plot import plot

    plot(target, scale, form, out, selection, results)


@click.command("status")
@click.argument("tables", nargs=-1, metavar="[TABLE]...", shell_complete=complete_specs)
@scale_option
@selection_options
@plugin_option
@results_option
def status_command(
    tables: tuple[str, ...], scale: str, selection: Selection, results: Path
) -> None:
    """What runs, what is done, what failed and why; without TABLE, for all."""
    from vaebench.cli.status import status

    status(tables, scale, selection, results)


COMMANDS = (
    list_command,
    show_command,
    fetch_data_command,
    run_command,
    train_command,
    eval_command,
    table_command,
    explain_command,
    plot_command,
    status_command,
)
