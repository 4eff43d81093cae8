"""The cells of a table as JSON: the printed value and ours, with what stands behind each."""

import json
import math
from typing import Any

from vaebench.registry.published import Key, Printed
from vaebench.registry.spec import Column
from vaebench.results.measured import Measured
from vaebench.results.page import Page


def to_json(page: Page) -> str:
    """One object: the table, the facts of its statement, notes, and a list of cells.

    The cells are those of the CSV in its order. A number that does not exist is null.
    """
    facts = page.facts
    value = {
        "table": page.table,
        "paper": page.paper,
        "caption": page.caption,
        "scale": facts.scale,
        "reduced": facts.reduced,
        "changes": facts.changes,
        "statement": page.statement,
        "data": [{"name": name, "kind": kind} for name, kind in facts.data],
        "runs": {"done": facts.runs_done, "needed": facts.runs_needed},
        "code": [one._asdict() for one in facts.code],
        "machines": [one._asdict() for one in facts.machines],
        "cells": [
            _cell(key, page.printed.get(key), page.measured.get(key), page.columns.get(key.column))
            for key in dict.fromkeys([*page.printed, *page.measured])
        ],
        "notes": [*page.grid.footnotes, *page.notes],
    }
    return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=1) + "\n"


def _cell(
    key: Key, printed: Printed | None, measured: Measured | None, column: Column | None
) -> dict[str, Any]:
    return {
        "row": key.row,
        "column_group": key.group,
        "column": key.column,
        "published": None if printed is None else _published(printed),
        "ours": None if measured is None else _ours(measured, column),
    }


def _published(cell: Printed) -> dict[str, Any]:
    """`printed` is letter by letter; `value` and `std` are numbers where it is one."""
    return {
        "printed": cell.value,
        "value": _finite(cell.number),
        "std": _number(cell.std),
        "note": cell.note,
    }


def _ours(cell: Measured, column: Column | None) -> dict[str, Any]:
    return {
        "state": cell.state,
        "value": _finite(cell.value),
        "std": _finite(cell.std),
        "seeds": cell.seeds,
        "seeds_wanted": cell.wanted,
        "unit": column.unit if column else None,
        "dialect": column.dialect if column else None,
        "aggregation": column.aggregation if column else None,
        "runs": list(cell.runs),
        "picked": cell.picked,
    }


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _finite(value: Any) -> Any:
    """JSON knows neither NaN nor infinity."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
