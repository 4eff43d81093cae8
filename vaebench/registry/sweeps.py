"""The runs of a figure's own, as a table of which no paper prints a number."""

from collections.abc import Mapping
from typing import Any, TypeVar

from vaebench.errors import UserError
from vaebench.registry.figure_spec import FigureSpec, FigureSweep
from vaebench.registry.loading import load_table
from vaebench.registry.spec import Row, RunPart, TableSpec

Part = TypeVar("Part", bound=RunPart)


def sweep_table(figure: FigureSpec, sweep: FigureSweep, scale: str) -> TableSpec:
    """The table under the figure's name: the one that is swept, with the points as its rows.

    UserError where the swept row cannot be run yet.
    """
    table = load_table(sweep.table, scale)
    row, column = table.rows.get(sweep.row), table.all_columns().get(sweep.column)
    groups = {name: table.groups[name] for name in sweep.groups if name in table.groups}
    lacking = [name for name in sweep.groups if name not in groups]
    if row is None or lacking or not table.has_method(row):
        raise UserError(
            f"{figure.id} cannot be run yet: it needs the row {sweep.row!r} of {table.id} on "
            f"{(lacking or sweep.groups)[0]!r}, which has no method"
        )
    if column is None:
        raise UserError(
            f"{figure.id} cannot be run yet: it needs the column {sweep.column!r} of {table.id}, "
            "which is not measured yet"
        )
    names = list(sweep.arguments)
    change = {
        "table": figure.id,
        "caption": figure.caption,
        "published": None,
        "groups": groups,
        "columns": {sweep.column: column.model_copy(update={"also": None})},
        "rows": {
            name: _at(row, dict(zip(names, values, strict=True)))
            for values, name in sweep.points().items()
        },
        "assumptions": figure.assumptions,
        "misprints": (),
        "findings": {},
    }
    return table.model_copy(update=change).read_from(figure.id)


def _at(row: Row, values: Mapping[str, Any]) -> Row:
    """The row at a point; what it says for a group alone gives way too."""
    groups = {name: _laid_over(part, values) for name, part in row.groups.items()}
    return _laid_over(row, values).model_copy(update={"groups": groups})


def _laid_over(part: Part, values: Mapping[str, Any]) -> Part:
    return part.model_copy(update={"arguments": {**part.arguments, **values}})
