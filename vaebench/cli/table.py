"""`vaebench table`: a table, the paper's numbers beside ours."""

import sys

import click

from vaebench.cli.options import complete_specs, results_option, scale_option, selection_options
from vaebench.registry.expansion import Selection, expand
from vaebench.registry.loading import load_table
from vaebench.results import formats
from vaebench.results.page import Page, compose
from vaebench.store.store import Store


@click.command("table")
@click.argument("table", shell_complete=complete_specs)
@scale_option
@click.option(
    "--format",
    "form",
    type=click.Choice(["md", "console", "csv"]),
    help="[default: console on a terminal, md in a pipe]",
)
@click.option(
    "--show",
    type=click.Choice(["ours", "published", "both"]),
    default="both",
    show_default=True,
    help="Whose numbers.",
)
@selection_options
@results_option
def command(
    table: str, scale: str, form: str | None, show: str, selection: Selection, store: Store
) -> None:
    """Show TABLE in the paper's layout. It renders at any time, with holes for what is missing."""
    expansion = expand(load_table(table, scale), selection)
    page = compose(expansion, store, scale, selection.variant, show)  # type: ignore[arg-type]
    show_page(page, form or default_form())


def default_form() -> str:
    """Tables for eyes on a terminal, Markdown in a pipe."""
    return "console" if sys.stdout.isatty() else "md"


def show_page(page: Page, form: str) -> None:
    """Write a page to stdout."""
    if form == "csv":
        click.echo(formats.to_csv(page.printed, page.measured), nl=False)
    elif form == "md":
        notes = "".join(f"\n- {note}" for note in page.notes)
        parts = [f"### {page.title}", page.statement, formats.to_markdown(page.grid).rstrip("\n")]
        click.echo("\n\n".join(parts) + (f"\n{notes}" if notes else ""))
    else:
        _to_console(page)


def _to_console(page: Page) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    console.print(page.title, style="bold", markup=False)
    console.print(page.statement, markup=False)
    for part in formats.to_console(page.grid):
        console.print(part)
    for note in page.notes:
        console.print(note, style="dim", markup=False)
