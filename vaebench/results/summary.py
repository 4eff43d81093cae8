"""results/<table>.<scale>[.<data>][.<variant>].csv: every measured cell with its provenance."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vaebench.data import catalog
from vaebench.errors import UserError
from vaebench.registry.expansion import Expansion, Measurement
from vaebench.registry.loading import published_cells
from vaebench.registry.published import Key, Printed
from vaebench.results.measured import Measured
from vaebench.store.atomic import write_text
from vaebench.store.store import Store

FIELDS = [
    "table",
    "row",
    "column_group",
    "column",
    "value",
    "std",
    "state",
    "seeds",
    "wanted",
    "published",
    "published_std",
    "aggregation",
    "dialect",
    "unit",
    "scale",
    "data",
    "data_kind",
    "data_sha256",
    "protocol",
    "runs",
    "commit",
    "modified",
    "vaebench",
    "torch",
    "device",
    "threads",
    "matmul",
    "precision",
    "cpu",
]

Line = dict[str, Any]


def summary_path(root: Path, expansion: Expansion, scale: str, variant: str | None) -> Path:
    """The CSV of a table; data that is not the original and changed runs show in its name."""
    parts = [expansion.spec.id, scale, *stand_ins(expansion)]
    if variant is not None:
        parts.append(variant)
    return root / (".".join(parts) + ".csv")


def stand_ins(expansion: Expansion) -> list[str]:
    """The data sets of the table that are derived or stand-ins, in order of use."""
    names = dict.fromkeys(run.data.dataset for run in expansion.runs.values())
    return [name for name in names if catalog.lookup(name).kind != "original"]


def write_summary(
    store: Store,
    expansion: Expansion,
    measured: Mapping[Key, Measured],
    scale: str,
    variant: str | None,
) -> Path:
    """Write the CSV; a cell that an older file holds with more seeds of the same runs stays as it
    is there. UserError where it cannot be written."""
    path = summary_path(store.root, expansion, scale, variant)
    older = _read(path)
    printed = published_cells(expansion.spec)
    lines = []
    for measurement in expansion.measurements:
        cell = measured[measurement.key]
        line = _line(measurement.key, cell, printed.get(measurement.key), expansion, store, scale)
        line |= {
            "aggregation": measurement.column.aggregation,
            "dialect": measurement.column.dialect,
            "unit": measurement.column.unit,
        }
        old = older.get(measurement.key)
        lines.append(old if old and _is_fuller(old, cell, measurement) else line)
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    try:
        write_text(path, text.getvalue())
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from error
    return path


def _is_fuller(old: Line, cell: Measured, measurement: Measurement) -> bool:
    """Whether an older line holds more seeds, and of runs that still are those of the cell."""
    runs, current = set(old["runs"].split()), {run.id for run in measurement.runs}
    seeds = int(old["seeds"]) if old["seeds"].isdecimal() else 0
    return seeds > cell.seeds and bool(runs) and runs <= current


def _line(
    key: Key,
    cell: Measured,
    printed: Printed | None,
    expansion: Expansion,
    store: Store,
    scale: str,
) -> Line:
    line: Line = {
        "table": expansion.spec.id,
        "row": key.row,
        "column_group": key.group,
        "column": key.column,
        "value": "" if cell.value is None else cell.value,
        "std": "" if cell.std is None else cell.std,
        "state": cell.state,
        "seeds": cell.seeds,
        "wanted": cell.wanted,
        "published": printed.value if printed else "",
        "published_std": printed.std if printed else "",
        "scale": scale,
        "runs": " ".join(cell.runs),
    }
    records = [record for run_id in cell.runs if (record := store.record(run_id)) is not None]
    if not records:
        return line
    flat = [
        {
            **record["provenance"],
            **record["provenance"]["numerics"],
            "data": record["configuration"]["data"]["dataset"],
            "protocol": f"{record['configuration']['paper']} {record['configuration']['version']}",
        }
        for record in records
    ]
    for field in FIELDS[FIELDS.index("data") :]:
        if field != "runs":
            values = dict.fromkeys(str(one.get(field, "")) for one in flat)
            line[field] = " / ".join(values)
    return line


def _read(path: Path) -> dict[Key, Line]:
    """The whole lines of an older file by cell; a file of another format counts as none."""
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.DictReader(stream)
            if reader.fieldnames != FIELDS:
                return {}
            whole = (line for line in reader if None not in line and None not in line.values())
            return {Key(r["row"], r["column_group"], r["column"]): r for r in whole}
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read: {error}") from error
