"""`vaebench table`: a table, the paper's numbers beside ours."""

import sys
from pathlib import Path

import click

from vaebench.registry.expansion import expand
from vaebench.registry.loading import load_table
from vaebench.registry.selection import Selection
from vaebench.results import formats
from vaebench.results.html import to_html
from vaebench.results.latex import to_latex
from vaebench.results.page import Page, compose
from vaebench.results.table_json import to_json
from vaebench.store.store import Store

_NO_LIMIT = 10_000  # columns
_DOCUMENTS = {"latex": to_latex, "html": to_html, "json": to_json}


def show_table(
    table: str, scale: str, form: str | None, show: str, selection: Selection, results: Path
) -> None:
    """Print the page of a table."""
    expansion = expand(load_table(table, scale), selection)
    page = compose(expansion, Store(results), scale, selection.changes, show)  # type: ignore[arg-type]
    show_page(page, form or default_form())


def default_form() -> str:
    """Tables for eyes on a terminal, Markdown in a pipe."""
    return "console" if sys.stdout.isatty() else "md"


def show_page(page: Page, form: str) -> None:
    """Write a page to stdout."""
    if form == "csv":
        click.echo(formats.to_csv(page.printed, page.measured), nl=False)
    elif form in _DOCUMENTS:
        click.echo(_DOCUMENTS[form](page), nl=False)
    elif form == "md":
        notes = "".join(f"\n- {note}" for note in page.notes)
        parts = [f"### {page.title}", page.statement, formats.to_markdown(page.grid).rstrip("\n")]
        click.echo("\n\n".join(parts) + (f"\n{notes}" if notes else ""))
    else:
        _to_console(page)


def _to_console(page: Page) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    terminal = console.width
    console.print(page.title, style="bold", markup=False)
    console.print(page.statement, markup=False)
    for part in formats.to_console(page.grid):
        if isinstance(part, Table):  # numbers stay whole; `| less -S` scrolls what is too wide
            unlimited = console.options.update(max_width=_NO_LIMIT)
            console.width = max(terminal, console.measure(part, options=unlimited).maximum)
        console.print(part)
        console.width = terminal
    for note in page.notes:
        console.print(note, style="dim", markup=False)
