"""How a paper prints a table: panels of blocks and columns, each printed entry found by its keys.

An entry is named by (row, column_group, column). A line of the layout gives some of the three,
its block and its printed column the others, so one small vocabulary describes data sets across
(DU-VAE 1), data sets down (IGP 9), metrics down (IGP 3) and methods across.
"""

from pydantic import model_validator

from vaebench.registry.published import Key
from vaebench.registry.strict import Strict


class Place(Strict):
    """Some of the three keys of an entry."""

    row: str | None = None
    group: str | None = None
    column: str | None = None

    def within(self, *outer: "Place") -> "Place":
        """This place; keys that it lacks come from the places around it, nearest first."""
        places = (self, *outer)
        return Place(
            row=next((place.row for place in places if place.row is not None), None),
            group=next((place.group for place in places if place.group is not None), None),
            column=next((place.column for place in places if place.column is not None), None),
        )


class PrintedColumn(Place):
    """One printed column; `columns` names the members of a pair such as NLL (KL).

    `format` holds one `{}` a member: `"{} ({})"`, `"{}/{}"`, `"{}%"`, `"[{}, {}]"`.
    `over` is the header that spans this column and its neighbours, `between` one below it that
    spans fewer of them.
    """

    header: str
    columns: tuple[str, ...] = ()
    format: str = "{}"
    over: str | None = None
    between: str | None = None

    @model_validator(mode="after")
    def _members_fit_the_format(self) -> "PrintedColumn":
        members = max(len(self.columns), 1)
        if self.format.count("{}") != members:
            raise ValueError(f"format {self.format!r} needs {members} {{}}, one a member")
        return self


class Line(Place):
    """One printed line; `label` is what the paper prints at its head (default: the row)."""

    label: str | None = None


class Block(Place):
    """Lines under one label at the side (DGP, CBT, Agreement); `lines` may be plain row names."""

    label: str | None = None
    lines: tuple[str | Line, ...]

    def expanded(self) -> tuple[Line, ...]:
        """The lines, with plain names turned into lines of that row."""
        return tuple(Line(row=line) if isinstance(line, str) else line for line in self.lines)


class Mark(Strict):
    """A mark of print, given to each entry whose published note contains `note`.

    `style` is `bold` or `underline`, `suffix` a sign such as `*`; `meaning` goes below the table.
    """

    note: str
    style: str | None = None
    suffix: str | None = None
    meaning: str | None = None


class Panel(Place):
    """One grid of print: `corner` heads the line labels; `groups` repeats `columns` for each."""

    title: str | None = None
    corner: str = ""
    groups: tuple[str, ...] = ()
    columns: tuple[PrintedColumn, ...]
    blocks: tuple[Block, ...]

    def expanded(self) -> tuple[PrintedColumn, ...]:
        """The printed columns, repeated under each of `groups` if there are any."""
        if not self.groups:
            return self.columns
        return tuple(
            column.model_copy(update={"group": group, "over": column.over or group})
            for group in self.groups
            for column in self.columns
        )

    def keys(self, block: Block, line: Line, column: PrintedColumn) -> tuple[Key, ...]:
        """The names of one printed entry: one, or one a member of a pair."""
        place = column.within(line, block, self)
        members = column.columns or (place.column or "",)
        return tuple(Key(place.row or "", place.group or "", member) for member in members)

    @model_validator(mode="after")
    def _entries_are_named(self) -> "Panel":
        for block in self.blocks:
            for line in block.expanded():
                for column in self.expanded():
                    place = column.within(line, block, self)
                    lacks = [name for name in ("row", "group") if getattr(place, name) is None]
                    if place.column is None and not column.columns:
                        lacks.append("column")
                    if lacks:
                        where = f"line {line.label or line.row!r}, column {column.header!r}"
                        raise ValueError(f"{where}: no {' and no '.join(lacks)} is given")
        return self


class Layout(Strict):
    """The panels of a table, top to bottom, and its marks."""

    panels: tuple[Panel, ...]
    marks: tuple[Mark, ...] = ()
