"""From one number to where it comes from: print, runs, records, choices, and the command for it."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from vaebench.errors import UserError, unknown
from vaebench.registry.expansion import Expansion, Measurement, expand
from vaebench.registry.loading import paper_spec, published_cells, typed_name
from vaebench.registry.published import Key, Printed
from vaebench.registry.runs import Evaluation, Run
from vaebench.registry.selection import Selection, matches
from vaebench.registry.spec import PaperSpec, TableSpec
from vaebench.results.cells import measure
from vaebench.results.measured import Measured
from vaebench.store.store import Record, Store

_SHOWN = 12  # names in a message
_BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class Seed:
    """One run of a cell: its value where there is one, and by what it was picked or not.

    `reason` says why there is no value; `path` is where the record lies or will lie.
    """

    run: Run
    state: Literal["done", "diverged", "failed", "unmeasured", "unfinished", "not run"]
    reason: str | None
    value: Any
    criterion: float | None
    picked: bool
    record: Record | None
    path: Path

    @property
    def provenance(self) -> dict[str, Any]:
        """Code, data and machine; empty without a record."""
        return self.record["provenance"] if self.record else {}

    @property
    def loss(self) -> list[float]:
        """The training loss by epoch."""
        losses: list[float] = self.record["history"].get("loss", []) if self.record else []
        return losses


@dataclass(frozen=True)
class Explanation:
    """All that is known of one cell.

    `unmeasured` says why nothing of ours can stand there; else there is a `measurement`. `command`
    measures the runs of the row; `elsewhere` counts the notes of the table on other columns.
    """

    spec: TableSpec
    paper: PaperSpec
    key: Key
    printed: Printed | None
    unmeasured: str | None
    measurement: Measurement | None
    ours: Measured | None
    seeds: tuple[Seed, ...]
    assumptions: tuple[str, ...]
    misprints: tuple[str, ...]
    elsewhere: int
    command: tuple[str, ...]


def explain(
    expansion: Expansion,
    store: Store,
    scale: str,
    selection: Selection,
    row: str,
    group: str | None,
    column: str,
) -> Explanation:
    """The explanation of a cell, named as leniently as by `--only`; UserError for a wrong name."""
    spec = expansion.spec
    printed = published_cells(spec)
    measurements = {measurement.key: measurement for measurement in expansion.measurements}
    key = find_key([*printed, *measurements], set(printed), row, group, column)
    measurement = measurements.get(key)
    ours = measure(expansion, store)[key] if measurement else None
    assumptions = _concerning(spec.assumptions if measurement else (), spec, key, set(printed))
    misprints = _concerning(spec.misprints, spec, key, set(printed))
    told = len(spec.assumptions if measurement else ()) + len(spec.misprints)
    return Explanation(
        spec=spec,
        paper=paper_spec(spec.paper),
        key=key,
        printed=printed.get(key),
        unmeasured=None if measurement else _why_not(spec, key),
        measurement=measurement,
        ours=ours,
        seeds=_seeds(measurement, ours, store) if measurement and ours else (),
        assumptions=assumptions,
        misprints=misprints,
        elsewhere=told - len(assumptions) - len(misprints),
        command=_command(expansion, key, scale, selection) if measurement else (),
    )


def find_key(
    keys: Iterable[Key], printed: set[Key], row: str, group: str | None, column: str
) -> Key:
    """The one cell that the three names mean; a name of print goes before one of our own."""
    found = _narrowed(keys, printed, 0, "row", row)
    if group is not None:
        found = _narrowed(found, printed, 1, "group", group)
    found = _narrowed(found, printed, 2, "column", column)
    if len(found) > 1:
        groups = ", ".join(key.group for key in found)
        raise UserError(
            f"{found[0].row}, {found[0].column} stands in {len(found)} groups; "
            f"choose one with --group: {groups}"
        )
    return found[0]


def sparkline(values: Sequence[float], width: int = 40) -> str:
    """The course of finite values in at most `width` bars, each the mean of its share."""
    finite = [value for value in values if math.isfinite(value)]
    if not finite:
        return ""
    count = min(width, len(finite))
    cuts = pairwise(len(finite) * index // count for index in range(count + 1))
    means = [math.fsum(finite[start:end]) / (end - start) for start, end in cuts]
    low, high = min(means), max(means)
    scale = (len(_BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(_BARS[round((mean - low) * scale)] for mean in means)


def _narrowed(
    keys: Iterable[Key], printed: set[Key], position: int, kind: str, name: str
) -> list[Key]:
    """The keys with the one name at `position` that `name` means."""
    keys = list(keys)
    known = list(dict.fromkeys(key[position] for key in keys))
    found = [name] if name in known else matches(name, known)
    if len(found) > 1:
        of_print = {key[position] for key in keys if key in printed}
        found = [one for one in found if one in of_print] or found
    if not found:
        raise unknown(kind, name, known)
    if len(found) > 1:
        shown = ", ".join(map(repr, found[:_SHOWN])) + (" …" if len(found) > _SHOWN else "")
        raise UserError(f"{kind} {name!r} may be any of: {shown}")
    return list(dict.fromkeys(key for key in keys if key[position] == found[0]))


def _why_not(spec: TableSpec, key: Key) -> str:
    """Why no run of ours can fill the cell."""
    if not spec.runnable:
        return "no row of this table has a method"
    if key.row not in spec.rows:
        return "no method of ours makes this row yet"
    if spec.rows[key.row].cited:
        return "the paper quotes this row from elsewhere; it is never run"
    if key.group not in spec.groups:
        return "no run of ours belongs to this column group yet"
    if key.column not in spec.all_columns():
        return "no evaluation of ours measures this column yet"
    return "this row has no method in this column group"


def _seeds(measurement: Measurement, ours: Measured, store: Store) -> tuple[Seed, ...]:
    return tuple(_seed(run, measurement, ours, store) for run in measurement.runs)


def _seed(run: Run, measurement: Measurement, ours: Measured, store: Store) -> Seed:
    record = store.record(run.id)
    missing = [e.name for e in measurement.evaluations if not store.has_values(run, e)]
    failure = store.failure(run.id)
    epochs = store.epochs_done(run.id)
    state: Literal["done", "diverged", "failed", "unmeasured", "unfinished", "not run"]
    reason = None
    if record is not None and record["status"] == "diverged":
        state, reason = "diverged", record["reason"]
    elif record is not None and not missing:
        state = "done"
    elif failure is not None:
        state, reason = "failed", failure["message"]
    elif record is not None:
        state, reason = "unmeasured", "lacks " + ", ".join(missing)
    elif epochs:
        state, reason = "unfinished", f"epoch {epochs} of {run.epochs}"
    else:
        state = "not run"
    select = measurement.select if measurement.column.aggregation == "best" else None
    done = record if state == "done" else None
    return Seed(
        run=run,
        state=state,
        reason=reason,
        value=_value(done, measurement.evaluation, measurement.column.value),
        criterion=_value(done, Evaluation(select.evaluation), select.value) if select else None,
        picked=ours.picked == run.id,
        record=record,
        path=store.record_path(run.id),
    )


def _value(record: Record | None, evaluation: Evaluation, name: str) -> Any:
    return None if record is None else record["evaluations"][evaluation.key]["values"][name]


def _concerning(
    notes: Sequence[str], spec: TableSpec, key: Key, printed: set[Key]
) -> tuple[str, ...]:
    """The notes without those that speak of other columns alone."""
    names = {one.column for one in printed} | set(spec.columns)
    terms = {name for name in names if _is_term(name)}
    kept = []
    for note in notes:
        named = {term for term in terms if re.search(rf"(?<!\w){re.escape(term)}(?!\w)", note)}
        if not named or any(term in key.column for term in named):
            kept.append(note)
    return tuple(kept)


def _is_term(name: str) -> bool:
    """Whether a column's name is no word that a note may use for itself: KL, Rec., not All."""
    return sum(sign.isupper() for sign in name) >= 2 or name.endswith(".")


def _command(expansion: Expansion, key: Key, scale: str, selection: Selection) -> tuple[str, ...]:
    """What trains and evaluates the runs of the cell's row and group, and no others where `--only`
    can say so."""
    spec = expansion.spec
    place = (key.row, key.group)
    cells = [m for m in expansion.measurements if (m.key.row, m.key.group) == place]
    wanted = {run.id for m in cells for run in m.runs}
    only = place if len(spec.groups) > 1 else (key.row,)
    alone = Selection(None, only, selection.limit, selection.settings)
    words = ["vaebench", "run", typed_name(spec)]
    if scale != "paper":
        words += ["--scale", scale]
    if set(expand(spec, alone).runs) == wanted:
        words += [word for pattern in only for word in ("--only", pattern)]
    if selection.limit is not None:
        words += ["--limit", str(selection.limit)]
    return (*words, *(word for setting in selection.settings for word in ("--set", setting)))
