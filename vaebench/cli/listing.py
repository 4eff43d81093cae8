"""`vaebench list`: every table and figure."""

import sys
from pathlib import Path

import click

from vaebench.cli.targets import why_not_runnable
from vaebench.errors import unknown
from vaebench.registry.expansion import expand
from vaebench.registry.loading import load_figure, load_table, published_cells
from vaebench.registry.names import PAPERS, figure_paths, table_paths
from vaebench.registry.spec import TableSpec
from vaebench.results.cells import measure
from vaebench.store.store import Store


def list_specs(paper: str | None, results: Path) -> None:
    """Print id, rows, column groups, state and caption of each."""
    store = Store(results)
    if paper is not None and paper not in PAPERS:
        raise unknown("paper", paper, PAPERS)
    rows = [
        _table_line(load_table(name), store)
        for name in table_paths()
        if paper is None or name.startswith(f"{paper}-table")
    ]
    rows += [
        _figure_line(name)
        for name in figure_paths()
        if paper is None or name.startswith(f"{paper}-figure")
    ]
    _print(("id", "rows", "column groups", "state", "caption"), rows)


def _table_line(spec: TableSpec, store: Store) -> tuple[str, ...]:
    printed = published_cells(spec)
    groups = ", ".join(dict.fromkeys(key.group for key in printed))
    rows = len(dict.fromkeys(key.row for key in printed))
    return spec.id, str(rows), groups, _state(spec, store), spec.caption


def _state(spec: TableSpec, store: Store) -> str:
    if not spec.runnable:
        return "published only"
    measured = measure(expand(spec), store)
    printed = [cell for key, cell in measured.items() if not _extra(spec, key.column)]
    cells = printed or list(measured.values())  # a table of formulas has extra ones alone
    full = sum(cell.seeds == cell.wanted for cell in cells)
    return f"{full}/{len(cells)} cells measured"


def _extra(spec: TableSpec, column: str) -> bool:
    return spec.all_columns()[column].extra


def _figure_line(name: str) -> tuple[str, ...]:
    figure = load_figure(name)
    groups = [panel.group for panel in figure.all_panels()]
    groups += [group for axes in figure.axes for group in axes.groups]
    groups += figure.sweep.groups if figure.sweep else ()
    state = "not yet" if why_not_runnable(figure) else "drawable"
    return name, "–", ", ".join(dict.fromkeys(groups)), state, figure.caption


def _print(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    """Aligned columns; on a terminal the caption is cut to fit, in a pipe nothing is."""
    from shutil import get_terminal_size

    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header) - 1)]
    terminal = sys.stdout.isatty()
    room = get_terminal_size().columns - sum(widths) - 2 * len(widths)
    for row in [header, *rows]:
        caption = row[-1]
        if terminal and room >= 20 and len(caption) > room:
            caption = caption[: room - 1] + "…"
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        click.echo("  ".join([*cells, caption]).rstrip())
