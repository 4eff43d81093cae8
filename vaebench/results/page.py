"""A table as people read it: heading, what our numbers are, the grid, the notes below it."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

from vaebench.data import catalog
from vaebench.registry.expansion import Expansion
from vaebench.registry.loading import published_cells, typed_name
from vaebench.registry.published import Key, Printed
from vaebench.registry.spec import Column, TableSpec
from vaebench.results.cells import measure
from vaebench.results.grid import Grid, Show, build
from vaebench.results.measured import Measured
from vaebench.store.store import Store


class Code(NamedTuple):
    """The code of a run; `commit` is None where it did not lie in a checkout."""

    vaebench: str
    commit: str | None
    modified: bool | None

    def __str__(self) -> str:
        if not self.commit:
            return f"vaebench {self.vaebench}"
        return f"commit {self.commit[:10]}{' with changes' if self.modified else ''}"


class Machine(NamedTuple):
    """What a run ran on, and in which precision it trained."""

    torch: str
    device: str
    processor: str
    precision: str

    def __str__(self) -> str:
        rounded = "" if self.precision == "float32" else f", trained in {self.precision}"
        return f"torch {self.torch} on {self.processor}{rounded}"


@dataclass(frozen=True)
class Facts:
    """What stands behind our numbers; `data` are names and kinds."""

    scale: str
    reduced: str | None
    changes: str | None
    data: tuple[tuple[str, str], ...]
    runs_done: int
    runs_needed: int
    code: tuple[Code, ...]
    machines: tuple[Machine, ...]


@dataclass(frozen=True)
class Page:
    """All that `vaebench table` shows."""

    table: str
    paper: str
    caption: str
    facts: Facts
    statement: str
    grid: Grid
    notes: tuple[str, ...]
    printed: dict[Key, Printed]
    measured: dict[Key, Measured]
    columns: dict[str, Column]

    @property
    def title(self) -> str:
        return f"{self.table}: {self.caption}"


def compose(
    expansion: Expansion, store: Store, scale: str, changes: str | None, show: Show
) -> Page:
    """The page of one table from what the store holds now."""
    spec = expansion.spec
    printed = published_cells(spec)
    measured = measure(expansion, store) if show != "published" else {}
    columns = spec.all_columns()
    facts = _facts(expansion, store, measured, scale, changes)
    unchanged = facts.runs_done > 0 and changes is None
    found = spec.findings.get(scale, ()) if unchanged else ()
    return Page(
        table=spec.id,
        paper=spec.paper,
        caption=spec.caption,
        facts=facts,
        statement=_statement(spec, facts, measured),
        grid=build(spec.layout, printed, measured, columns, show),
        notes=tuple(_notes(expansion, bool(measured), found)),
        printed=printed,
        measured=measured,
        columns=columns,
    )


def _facts(
    expansion: Expansion,
    store: Store,
    measured: dict[Key, Measured],
    scale: str,
    changes: str | None,
) -> Facts:
    """The code and the machines of the runs, each once, and what they ran on."""
    ids = dict.fromkeys(run_id for cell in measured.values() for run_id in cell.runs)
    records = [record for run_id in ids if (record := store.record(run_id)) is not None]
    sources = [record["provenance"] for record in records]
    shown = ids or expansion.runs  # before anything is measured, what would be
    names = dict.fromkeys(expansion.runs[run_id].data.dataset for run_id in shown)
    return Facts(
        scale=scale,
        reduced=expansion.spec.reduced,
        changes=changes,
        data=tuple((name, catalog.lookup(name).kind) for name in names),
        runs_done=len(ids),
        runs_needed=len(expansion.runs),
        code=tuple(dict.fromkeys(Code(p["vaebench"], p["commit"], p["modified"]) for p in sources)),
        machines=tuple(dict.fromkeys(_machine(p) for p in sources)),
    )


def _statement(spec: TableSpec, facts: Facts, measured: dict[Key, Measured]) -> str:
    """What stands behind our numbers, or what would make them."""
    if not spec.runnable:
        return "Published numbers; no row has a method."
    if not measured:
        return "Published numbers."
    states = Counter(cell.state for cell in measured.values())
    made = len(measured) - states["missing"] - states["failed"]
    if made == 0:
        option = "" if facts.scale == "paper" else f" --scale {facts.scale}"
        return f"Published numbers; `vaebench run {typed_name(spec)}{option}` measures ours."
    parts = [
        f"Ours: {facts.scale} scale",
        "data " + ", ".join(f"{name} ({kind})" for name, kind in facts.data),
        f"{facts.runs_done} of {facts.runs_needed} runs",
    ]
    if facts.reduced:
        parts.append(f"reduced, so not comparable with the paper: {facts.reduced}")
    if facts.changes:
        parts.append(f"changed runs ({facts.changes})")
    origin = dict.fromkeys(str(one) for one in (*facts.code, *facts.machines))
    return ", ".join([*parts, *origin]) + "."


def _machine(provenance: dict[str, Any]) -> Machine:
    numerics = provenance["numerics"]
    processor = provenance["cpu" if numerics["device"] == "cpu" else "gpu"]
    return Machine(provenance["torch"], numerics["device"], processor, numerics["precision"])


def _notes(expansion: Expansion, ours: bool, found: Iterable[str]) -> list[str]:
    spec = expansion.spec
    notes = [f"Finding of the suite's own runs: {text}" for text in found]
    if ours:
        told = {name: _measure_of(column, spec) for name, column in spec.told_columns().items()}
        for text, names in groupby(told, key=lambda name: told[name]):
            notes.append(f"{_together(list(names))}: {text}")
        if spec.select is not None and any(c.aggregation == "best" for c in spec.columns.values()):
            notes.append(f"best: {spec.select.says}")
        notes += [f"Assumption: {text}" for text in spec.assumptions]
    return notes + [f"Misprint: {text}" for text in spec.misprints]


def _measure_of(column: Column, spec: TableSpec) -> str:
    """What a column is, in a line."""
    how = {"best": f"best of {spec.seeds}", "mean": f"mean of {spec.seeds}", "single": ""}
    around = f"± {column.deviation}" if column.deviation else ""
    return ", ".join(filter(None, (column.dialect, column.unit, how[column.aggregation], around)))


def _together(names: list[str]) -> str:
    """Neighbouring columns of which the same is told: `A, B`, and `A to F` of more than five."""
    return ", ".join(names) if len(names) <= 5 else f"{names[0]} to {names[-1]}"
