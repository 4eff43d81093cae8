"""A grid as Markdown or for the console, and the cells of a table as CSV. Nothing here prints."""

import csv
import io
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from tabulate import tabulate

from vaebench.registry.published import Key, Printed
from vaebench.results.grid import UNMEASURED, Cell, Grid, GridPanel, Header, Span, plain
from vaebench.results.measured import Measured

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.table import Table

_ESCAPES = str.maketrans({"|": r"\|", "*": r"\*", "<": r"\<", "\n": " "})
CSV_HEADER = (
    "row",
    "column_group",
    "column",
    "published",
    "published_std",
    "ours",
    "ours_std",
    "seeds",
    "note",
)


def to_markdown(grid: Grid) -> str:
    """One pipe table a panel, its title above in bold, the footnotes at the end."""
    parts: list[str] = []
    for panel in grid.panels:
        if panel.title:
            parts.append(f"**{_escaped(panel.title)}**")
        parts.append(_markdown_panel(panel))
    parts += [_escaped(note) for note in grid.footnotes]
    return "\n\n".join(parts) + "\n"


def to_console(grid: Grid) -> "list[RenderableType]":
    """One rich table a panel under its title, then the footnotes, to be printed by the caller."""
    from rich.text import Text

    parts: list[RenderableType] = []
    for panel in grid.panels:
        if panel.title:
            parts.append(Text(panel.title, style="bold"))
        parts.append(_console_panel(panel))
    return [*parts, *(Text(note, style="dim") for note in grid.footnotes)]


def to_csv(printed: Mapping[Key, Printed], measured: Mapping[Key, Measured]) -> str:
    """One line a cell: the printed value letter by letter beside ours in full precision."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_HEADER)
    for key in dict.fromkeys([*printed, *measured]):
        writer.writerow([*key, *_csv_fields(printed.get(key), measured.get(key))])
    return stream.getvalue()


def _csv_fields(paper: Printed | None, ours: Measured | None) -> list[str]:
    published = [paper.value, paper.std] if paper else ["", ""]
    notes = [paper.note] if paper and paper.note else []
    if ours is None:
        return [*published, "", "", "", "; ".join(notes)]
    if ours.state != "measured":
        return [*published, UNMEASURED[ours.state], "", "", "; ".join(notes)]
    if ours.seeds < ours.wanted:
        notes.append(f"{ours.seeds} of {ours.wanted} seeds")
    value = "" if ours.value is None else str(ours.value)
    std = "" if ours.std is None else str(ours.std)
    return [*published, value, std, str(ours.seeds), "; ".join(notes)]


def _markdown_panel(panel: GridPanel) -> str:
    blocks = any(block.label for block in panel.blocks)
    head = [panel.corner, *(_flat(header) for header in panel.headers)]
    table = [[*labels, *map(_markdown_cell, cells)] for labels, cells in _lines(panel, blocks)]
    sides = ["left"] * (2 if blocks else 1)
    return tabulate(
        table,
        [_escaped(text) for text in (["", *head] if blocks else head)],
        tablefmt="pipe",
        disable_numparse=True,
        colalign=[*sides, *("right" if right else "left" for right in numeric_columns(panel))],
    )


def _lines(panel: GridPanel, blocks: bool) -> Iterator[tuple[list[str], tuple[Cell, ...]]]:
    """The labels and the cells of each line; a block's label stands at its first line only."""
    for block in panel.blocks:
        for index, line in enumerate(block.lines):
            side = [block.label or "" if index == 0 else ""] if blocks else []
            yield [_escaped(label) for label in (*side, line.label)], line.cells


def _flat(header: Header) -> str:
    """A header in one line: `Yahoo NLL (KL) (ours)`."""
    source = f"({header.source})" if header.source else None
    return " ".join(p for p in (header.over, header.between, header.text, source) if p)


def _markdown_cell(cell: Cell) -> str:
    return "".join(_markdown_span(span) for span in cell)


def _markdown_span(span: Span) -> str:
    text = _escaped(span.text)
    if span.style == "bold":
        return f"**{text}**"
    return f"<u>{text}</u>" if span.style == "underline" else text


def _escaped(text: str) -> str:
    """Text that neither ends its cell nor opens an emphasis or a tag."""
    return text.translate(_ESCAPES)


def numeric_columns(panel: GridPanel) -> list[bool]:
    """Which columns hold numbers, and so read better aligned to the right."""
    lines = [line for block in panel.blocks for line in block.lines]
    columns = ([plain(line.cells[index]) for line in lines] for index in range(len(panel.headers)))
    return [all(_starts_as_number(text) for text in column if text) for column in columns]


def _starts_as_number(text: str) -> bool:
    return text in UNMEASURED.values() or text.lstrip("[(-−")[:1].isdigit()


def _console_panel(panel: GridPanel) -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    blocks = any(block.label for block in panel.blocks)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for head in ("", panel.corner) if blocks else (panel.corner,):
        table.add_column(Text(head), no_wrap=True)
    for header, right in zip(_stacked(panel.headers), numeric_columns(panel), strict=True):
        table.add_column(Text(header), justify="right" if right else "left")
    for block in panel.blocks:
        for index, line in enumerate(block.lines):
            side = [Text(block.label or "" if index == 0 else "")] if blocks else []
            cells = (Text.assemble(*((s.text, s.style or "") for s in cell)) for cell in line.cells)
            table.add_row(*side, Text(line.label), *cells)
        table.add_section()
    return table


def _stacked(headers: tuple[Header, ...]) -> list[str]:
    """Headers in up to four storeys; one that spans its neighbours stands above the first."""
    overs = [header.over or "" for header in headers]
    betweens = [header.between or "" for header in headers]
    above = [texts for texts in (overs, betweens) if any(texts)]
    found: list[str] = []
    for index, header in enumerate(headers):
        same = index > 0
        storeys = []
        for texts in above:
            same = same and texts[index] == texts[index - 1]
            storeys.append("" if same else texts[index])
        source = [f"({header.source})"] if header.source else []
        found.append("\n".join([*storeys, header.text, *source]))
    return found
