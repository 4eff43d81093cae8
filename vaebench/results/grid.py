"""A table as it is read: the printed entries of a layout beside our own numbers."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from vaebench.registry.layout import Block, Layout, Line, Mark, Panel, PrintedColumn
from vaebench.registry.published import Key, Printed
from vaebench.registry.spec import Column
from vaebench.results.measured import Measured

Show = Literal["published", "ours", "both"]
Source = Literal["paper", "ours"]

DASH = "–"
DASHES = ("", "-", DASH, "—")
UNMEASURED = {
    "missing": DASH,
    "not applicable": DASH,
    "failed": "failed",
    "diverged": "diverged",
}
NOTHING = ("missing", "not applicable")
EXTRA_PANEL = "Extra (not in the paper)"
EXTRA_BLOCK = "extra"


@dataclass(frozen=True)
class Span:
    """A piece of a cell in one style: none, `bold` or `underline`."""

    text: str
    style: str | None = None


Cell = tuple[Span, ...]


@dataclass(frozen=True)
class Header:
    """The head of a column; `source` tells the paper's half from ours where both are shown."""

    text: str
    over: str | None = None
    source: Source | None = None
    between: str | None = None


@dataclass(frozen=True)
class GridLine:
    """One line of cells; a cell without spans is blank."""

    label: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class GridBlock:
    """Lines under one label."""

    label: str | None
    lines: tuple[GridLine, ...]


@dataclass(frozen=True)
class GridPanel:
    """One grid: headers above, blocks of lines below."""

    title: str | None
    corner: str
    headers: tuple[Header, ...]
    blocks: tuple[GridBlock, ...]


@dataclass(frozen=True)
class Grid:
    """A whole table, with the meanings of the marks that occur in it."""

    panels: tuple[GridPanel, ...]
    footnotes: tuple[str, ...] = ()


def plain(cell: Cell) -> str:
    """The text of a cell without its styles."""
    return "".join(span.text for span in cell)


def build(
    layout: Layout,
    printed: Mapping[Key, Printed],
    measured: Mapping[Key, Measured],
    columns: Mapping[str, Column],
    show: Show,
) -> Grid:
    """The grid of a table; `both` shows the paper alone as long as nothing is measured."""
    if show == "both" and not any(cell.state not in NOTHING for cell in measured.values()):
        show = "published"
    if show == "both" and not printed:
        show = "ours"
    if show != "published":
        layout = _with_extras(layout, measured)
    return _Builder(layout.marks, printed, measured, columns, show).grid(layout)


@dataclass(frozen=True)
class _Builder:
    """What every cell of one grid is made from."""

    marks: tuple[Mark, ...]
    printed: Mapping[Key, Printed]
    measured: Mapping[Key, Measured]
    columns: Mapping[str, Column]
    show: Show

    def grid(self, layout: Layout) -> Grid:
        panels = tuple(self.panel(panel) for panel in layout.panels)
        return Grid(panels, tuple(self.footnotes(layout)))

    def panel(self, panel: Panel) -> GridPanel:
        shown = [
            (column, source)
            for column in panel.expanded()
            for source in self.sources(panel, column)
        ]
        headers = tuple(
            Header(
                column.header,
                column.over,
                source if self.show == "both" else None,
                column.between,
            )
            for column, source in shown
        )
        blocks = []
        for block in panel.blocks:
            lines = []
            for line in block.expanded():
                cells = (self.cell(panel.keys(block, line, c), c, source) for c, source in shown)
                label = line.label if line.label is not None else line.row or ""
                lines.append(GridLine(label, tuple(cells)))
            blocks.append(GridBlock(block.label, tuple(lines)))
        return GridPanel(panel.title, panel.corner, headers, tuple(blocks))

    def sources(self, panel: Panel, column: PrintedColumn) -> tuple[Source, ...]:
        """The halves of a printed column; in `both`, only those that can hold an entry."""
        if self.show != "both":
            return ("paper",) if self.show == "published" else ("ours",)
        keys = set(_column_keys(panel, column))
        if not keys & self.measured.keys():
            return ("paper",)
        return ("paper", "ours") if keys & self.printed.keys() else ("ours",)

    def cell(self, keys: tuple[Key, ...], column: PrintedColumn, source: Source) -> Cell:
        if source == "paper":
            entries = [self.printed[key] for key in keys if key in self.printed]
            return _joined([_paper(entry, self.marks) for entry in entries], column)
        known = [key for key in keys if key in self.measured]
        members = [self.ours(key) for key in known]
        notes = [_seeds_mark(self.measured[key]) for key in known]
        if len(set(notes)) == 1:  # one mark for a whole pair
            return (*_joined(members, column), *([Span(notes[0])] if notes[0] else []))
        marked = zip(members, notes, strict=True)
        return _joined([Span(member.text + note) for member, note in marked], column)

    def ours(self, key: Key) -> Span:
        """Our number in the digits of its column, else of the paper."""
        cell = self.measured[key]
        if cell.state != "measured" or cell.value is None:
            return Span(UNMEASURED.get(cell.state, DASH))
        column, printed = self.columns.get(key.column), self.printed.get(key)
        template = printed if printed is not None and printed.number is not None else None
        digits = template.digits if template is not None else None
        if column is not None and column.digits is not None:
            digits = column.digits
        if isinstance(cell.value, str) or (isinstance(cell.value, int) and digits is None):
            return Span(str(cell.value))
        digits = 2 if digits is None else digits
        if template is not None:
            scientific = "e" in template.value.lower()
        else:  # no print to follow: a number that would round to zero shows its size
            scientific = 0 < abs(cell.value) < 0.5 * 10**-digits
        numbers = [cell.value] if cell.std is None else [cell.value, cell.std]
        texts = [format_number(x, digits, scientific) for x in numbers]
        return Span(" ± ".join(texts))

    def footnotes(self, layout: Layout) -> Iterator[str]:
        """The meanings of the marks of print that are shown, and of the mark of missing seeds."""
        notes = [
            self.printed[key].note
            for key in (layout_keys(layout) if self.show != "ours" else ())
            if key in self.printed
        ]
        for mark in self.marks:
            if mark.meaning and any(mark.note in note for note in notes):
                yield f"{mark.suffix} {mark.meaning}" if mark.suffix else mark.meaning
        cells = self.measured.values() if self.show != "published" else ()
        if any(_seeds_mark(cell) for cell in cells):
            yield "[n/m] over n of the m wanted seeds only"


def layout_keys(layout: Layout) -> Iterator[Key]:
    """The keys of all entries of a layout, in reading order."""
    for panel in layout.panels:
        for block in panel.blocks:
            for line in block.expanded():
                for column in panel.expanded():
                    yield from panel.keys(block, line, column)


def format_number(value: float, digits: int, scientific: bool = False) -> str:
    """`value` as papers print it: `0.10`, or `1.0e-3` without the zero of `1.0e-03`."""
    if not scientific:
        return f"{value:.{digits}f}"
    mantissa, mark, exponent = f"{value:.{digits}e}".partition("e")
    return f"{mantissa}e{int(exponent)}" if mark else mantissa


def _column_keys(panel: Panel, column: PrintedColumn) -> Iterator[Key]:
    for block in panel.blocks:
        for line in block.expanded():
            yield from panel.keys(block, line, column)


def _paper(entry: Printed, marks: Iterable[Mark]) -> Span:
    """A printed member, letter by letter, with its marks."""
    if entry.value in DASHES:
        return Span(DASH)
    text = f"{entry.value} ± {entry.std}" if entry.std else entry.value
    style: str | None = None
    for mark in marks:
        if mark.note in entry.note:
            style = style or mark.style
            text += mark.suffix or ""
    return Span(text, style)


def _seeds_mark(cell: Measured) -> str:
    """` [3/5]` where seeds are missing from a number."""
    if cell.state == "measured" and cell.seeds < cell.wanted:
        return f" [{cell.seeds}/{cell.wanted}]"
    return ""


def _joined(members: list[Span], column: PrintedColumn) -> Cell:
    """The members in the column's format; what is absent is left out, what is said once is once."""
    if not members:
        return ()
    words = {member.text for member in members}
    if len(words) == 1 and words <= set(UNMEASURED.values()):
        return (members[0],)
    pieces = column.format.split("{}")
    if len(members) != len(pieces) - 1:
        pieces = ["", *[" "] * (len(members) - 1), ""]
    cell = [Span(pieces[0])]
    for member, piece in zip(members, pieces[1:], strict=True):
        cell += [member, Span(piece)]
    return tuple(span for span in cell if span.text)


def _with_extras(layout: Layout, measured: Mapping[Key, Measured]) -> Layout:
    """The layout with a place for what we measure beyond it: rows below, columns in a panel."""
    shown = set(layout_keys(layout))
    rows = {key.row for key in shown}
    left = [key for key in measured if key not in shown]
    panels: list[Panel] = []
    for panel in layout.panels:
        lines = [
            line
            for row in dict.fromkeys(key.row for key in left if key.row not in rows)
            for line in _extra_lines(panel, row, set(left))
        ]
        if lines:
            block = Block(label=EXTRA_BLOCK, lines=tuple(lines))
            used = {
                key
                for column in panel.expanded()
                for line in lines
                for key in panel.keys(block, line, column)
            }
            left = [key for key in left if key not in used]
            panel = panel.model_copy(update={"blocks": (*panel.blocks, block)})
        panels.append(panel)
    if left:
        extra = _extra_panel(left, _row_labels(layout))
        panels.append(extra.model_copy(update={"corner": layout.panels[0].corner}))
    return layout.model_copy(update={"panels": tuple(panels)})


def _extra_lines(panel: Panel, row: str, left: set[Key]) -> list[Line]:
    """`row` in each place of the panel (data set, metric) where it has a measured cell."""
    if any(column.row is not None for column in panel.expanded()):
        return []
    places: dict[tuple[str | None, str | None], str | None] = {}
    for block in panel.blocks:
        for line in block.expanded():
            inner = line.within(block)
            places.setdefault((inner.group, inner.column), block.label)
    found = []
    for (group, column), label in places.items():
        line = Line(row=row, group=group, column=column)
        keys = {
            key
            for printed in panel.expanded()
            for key in panel.keys(Block(lines=()), line, printed)
        }
        if keys & left:
            found.append((line, label or group or column))
    if len(found) == 1:
        return [found[0][0]]
    return [line.model_copy(update={"label": f"{row} ({label})"}) for line, label in found]


def _row_labels(layout: Layout) -> dict[str, str]:
    """How the layout prints rows, where no two of them look alike: it may tell them by block."""
    lines = [line for panel in layout.panels for block in panel.blocks for line in block.expanded()]
    labels = {line.row: line.label or line.row for line in lines if line.row is not None}
    return labels if len(set(labels.values())) == len(labels) else {}


def _extra_panel(left: list[Key], labels: Mapping[str, str]) -> Panel:
    """A grid of what found no place: rows down, columns of their groups across."""
    across = dict.fromkeys((key.group, key.column) for key in left)
    return Panel(
        title=EXTRA_PANEL,
        columns=tuple(
            PrintedColumn(header=column, over=group, group=group, column=column)
            for group, column in across
        ),
        blocks=(
            Block(
                lines=tuple(
                    Line(row=row, label=labels.get(row, row))
                    for row in dict.fromkeys(key.row for key in left)
                )
            ),
        ),
    )
