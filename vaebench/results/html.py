"""A page as one HTML file: no script, no font, nothing from elsewhere."""

from collections.abc import Iterable, Iterator
from html import escape

from vaebench.results.formats import numeric_columns
from vaebench.results.grid import Cell, GridLine, GridPanel
from vaebench.results.headers import storeys
from vaebench.results.page import Page
from vaebench.results.typeset import Code, Formula, Symbol, Words, pieces, styled

_STYLE = """\
body { font-family: system-ui, sans-serif; line-height: 1.4; color: #1a1a1a; margin: 2rem; }
main { max-width: 72rem; margin: auto; }
h1 { font-size: 1.2rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; \
border-top: 2px solid; border-bottom: 2px solid; }
caption { text-align: left; font-weight: bold; padding: 0.3rem 0; }
th, td { padding: 0.15rem 0.6rem; text-align: left; vertical-align: top; }
th { font-weight: normal; }
thead th { text-align: center; vertical-align: bottom; }
thead th[colspan]:not(.corner) { border-bottom: 1px solid #999; }
thead th.corner { text-align: left; }
tbody { border-top: 1px solid; }
sub, sup { line-height: 0; }
.number { text-align: right; white-space: nowrap; }
.ours { background: #f2f5fa; }
.notes { font-size: 0.9rem; color: #444; }
"""


def to_html(page: Page) -> str:
    """A whole document in HTML5, one `<table>` a panel."""
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(page.table)}</title>",
        f"<style>\n{_STYLE}</style>",
        "</head>",
        "<body>",
        "<main>",
        f"<h1>{html_text(page.title)}</h1>",
        f"<p>{html_text(page.statement)}</p>",
    ]
    for panel in page.grid.panels:
        parts += ['<div class="scroll">', *_panel(panel), "</div>"]
    parts += [f'<p class="notes">{html_text(note)}</p>' for note in page.grid.footnotes]
    if page.notes:
        items = [f"<li>{html_text(note)}</li>" for note in page.notes]
        parts += ['<ul class="notes">', *items, "</ul>"]
    return "\n".join([*parts, "</main>", "</body>", "</html>"]) + "\n"


def html_text(text: str) -> str:
    """A text with nothing in it that HTML would read as its own."""
    return "".join(_piece(piece) for piece in pieces(text))


def _panel(panel: GridPanel) -> Iterator[str]:
    sides = 2 if any(block.label for block in panel.blocks) else 1
    yield "<table>"
    if panel.title:
        yield f"<caption>{html_text(panel.title)}</caption>"
    yield "<thead>"
    lines = storeys(panel.headers)
    for storey, line in enumerate(lines):
        cells = []
        if storey == 0:
            corner = html_text(panel.corner)
            name = "th" if corner else "td"
            kind = ' class="corner"'
            cells.append(f"<{name}{kind}{_spans(sides, len(lines))}>{corner}</{name}>")
        for cell in line:
            scope = "colgroup" if cell.columns > 1 else "col"
            spans = _spans(cell.columns, cell.storeys)
            cells.append(f'<th scope="{scope}"{spans}>{html_text(cell.text)}</th>')
        yield f"<tr>{''.join(cells)}</tr>"
    yield "</thead>"
    kinds = _kinds(panel)
    for block in panel.blocks:
        yield "<tbody>"
        for index, one in enumerate(block.lines):
            height = len(block.lines) if index == 0 else 0
            yield _line(one, sides, block.label, height, kinds)
        yield "</tbody>"
    yield "</table>"


def _line(
    line: GridLine, sides: int, block: str | None, first_of: int, kinds: Iterable[str]
) -> str:
    """One line; the first of a block carries its label beside all of them."""
    wide = sides if not block else 1
    parts = [f'<th scope="row"{_spans(wide, 1)}>{html_text(line.label)}</th>']
    if block and first_of:
        parts.insert(0, f'<th scope="rowgroup"{_spans(1, first_of)}>{html_text(block)}</th>')
    for cell, kind in zip(line.cells, kinds, strict=True):
        parts.append(f"<td{kind}>{_cell(cell)}</td>")
    return f"<tr>{''.join(parts)}</tr>"


def _kinds(panel: GridPanel) -> list[str]:
    """The class attribute of each column's cells."""
    found = []
    for header, numeric in zip(panel.headers, numeric_columns(panel), strict=True):
        names = [*(["number"] if numeric else []), *(["ours"] if header.source == "ours" else [])]
        found.append(f' class="{" ".join(names)}"' if names else "")
    return found


def _spans(columns: int, rows: int) -> str:
    text = f' colspan="{columns}"' if columns > 1 else ""
    return text + (f' rowspan="{rows}"' if rows > 1 else "")


def _cell(cell: Cell) -> str:
    tags = {"bold": "b", "underline": "u"}
    return "".join(
        f"<{tags[style]}>{html_text(text)}</{tags[style]}>" if style in tags else html_text(text)
        for text, style in styled(cell)
    )


def _piece(piece: Words | Symbol | Code | Formula) -> str:
    if isinstance(piece, Code | Formula):
        return f"<code>{escape(piece.text)}</code>"
    if isinstance(piece, Symbol):
        below = f"<sub>{escape(piece.below)}</sub>" if piece.below else ""
        above = f"<sup>{escape(piece.above)}</sup>" if piece.above else ""
        return escape(piece.base) + "′" * piece.primes + below + above
    return escape(piece.text)
