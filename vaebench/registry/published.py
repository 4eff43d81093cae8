"""The printed numbers, letter by letter: `328.80` stays `328.80`."""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from vaebench.errors import UserError

HEADER = ["row", "column_group", "column", "value", "std", "note"]


class Key(NamedTuple):
    """The name of a cell."""

    row: str
    group: str
    column: str

    def __str__(self) -> str:
        return f"({self.row}, {self.group}, {self.column})"


@dataclass(frozen=True)
class Printed:
    """What the paper prints in one cell; an empty value is a dash, a blank or a lost cell."""

    value: str
    std: str
    note: str

    @property
    def digits(self) -> int:
        """Digits after the point, as printed."""
        mantissa = self.value.lower().partition("e")[0]
        return len(mantissa.partition(".")[2])

    @property
    def number(self) -> float | None:
        """The value as a number; None for a dash, a text or a formula."""
        try:
            return float(self.value)
        except ValueError:
            return None


def read_published(path: Path) -> dict[Key, Printed]:
    """The printed cells of one table in the order of the file."""
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.reader(stream)
            header = next(reader, [])
            if header != HEADER:
                raise UserError(f"{path}: expected the header {','.join(HEADER)}")
            cells: dict[Key, Printed] = {}
            for fields in reader:
                if len(fields) != len(HEADER):
                    raise UserError(f"{path}: line {reader.line_num} has {len(fields)} fields")
                key = Key(*fields[:3])
                if key in cells:
                    raise UserError(f"{path}: line {reader.line_num} repeats the cell {key}")
                cells[key] = Printed(*fields[3:])
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
    return cells
