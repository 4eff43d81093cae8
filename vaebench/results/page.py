"""A table as people read it: heading, what our numbers are, the grid, the notes below it."""

from collections import Counter
from dataclasses import dataclass

from vaebench.data import catalog
from vaebench.registry.expansion import Expansion
from vaebench.registry.loading import published_cells, typed_name
from vaebench.registry.published import Key, Printed
from vaebench.results.cells import measure
from vaebench.results.grid import Grid, Show, build
from vaebench.results.measured import Measured
from vaebench.store.store import Record, Store


@dataclass(frozen=True)
class Page:
    """All that `vaebench table` shows."""

    title: str
    statement: str
    grid: Grid
    notes: tuple[str, ...]
    printed: dict[Key, Printed]
    measured: dict[Key, Measured]


def compose(
    expansion: Expansion, store: Store, scale: str, changes: str | None, show: Show
) -> Page:
    """The page of one table from what the store holds now."""
    spec = expansion.spec
    printed = published_cells(spec)
    measured = measure(expansion, store) if show != "published" else {}
    grid = build(spec.layout, printed, measured, spec.all_columns(), show)
    return Page(
        title=f"{spec.id}: {spec.caption}",
        statement=_statement(expansion, store, measured, scale, changes),
        grid=grid,
        notes=tuple(_notes(expansion, bool(measured))),
        printed=printed,
        measured=measured,
    )


def _statement(
    expansion: Expansion,
    store: Store,
    measured: dict[Key, Measured],
    scale: str,
    changes: str | None,
) -> str:
    """What stands behind our numbers, or what would make them."""
    spec = expansion.spec
    if not spec.runnable:
        return "Published numbers; the methods of this table do not exist yet."
    if not measured:
        return "Published numbers."
    states = Counter(cell.state for cell in measured.values())
    made = len(measured) - states["missing"] - states["failed"]
    if made == 0:
        option = "" if scale == "paper" else f" --scale {scale}"
        return f"Published numbers; `vaebench run {typed_name(spec)}{option}` measures ours."
    ids = dict.fromkeys(run_id for cell in measured.values() for run_id in cell.runs)
    records = [record for run_id in ids if (record := store.record(run_id)) is not None]
    parts = [f"Ours: {scale} scale", _data(expansion), f"{len(ids)} of {len(expansion.runs)} runs"]
    if spec.reduced:
        parts.append(f"reduced, so not comparable with the paper: {spec.reduced}")
    if changes:
        parts.append(f"changed runs ({changes})")
    return ", ".join(parts + _origin(records)) + "."


def _data(expansion: Expansion) -> str:
    names = dict.fromkeys(run.data.dataset for run in expansion.runs.values())
    return "data " + ", ".join(f"{name} ({catalog.lookup(name).kind})" for name in names)


def _origin(records: list[Record]) -> list[str]:
    """The code and the machines of the runs, each once."""
    sources = [record["provenance"] for record in records]
    commits = dict.fromkeys(
        f"commit {p['commit'][:10]}{' with changes' if p['modified'] else ''}"
        if p["commit"]
        else f"vaebench {p['vaebench']}"
        for p in sources
    )
    machines = dict.fromkeys(
        f"torch {p['torch']} on {p['cpu'] if p['numerics']['device'] == 'cpu' else p['gpu']}"
        for p in sources
    )
    return [*commits, *machines]


def _notes(expansion: Expansion, ours: bool) -> list[str]:
    spec = expansion.spec
    notes = []
    if ours:
        for name, column in spec.columns.items():
            how = {"best": f"best of {spec.seeds}", "mean": f"mean of {spec.seeds}", "single": ""}
            parts = [column.dialect, column.unit, how[column.aggregation]]
            notes.append(f"{name}: " + ", ".join(part for part in parts if part))
        if spec.select is not None and any(c.aggregation == "best" for c in spec.columns.values()):
            notes.append(f"best: {spec.select.says}")
        notes += [f"Assumption: {text}" for text in spec.assumptions]
    return notes + [f"Misprint: {text}" for text in spec.misprints]
