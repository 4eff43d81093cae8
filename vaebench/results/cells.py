"""From records to cells: each column's aggregation over its seeds."""

import statistics
from collections.abc import Mapping
from typing import Any

from vaebench.errors import UserError, unknown
from vaebench.registry.expansion import Expansion, Measurement, other_view
from vaebench.registry.figure_spec import FigurePanel
from vaebench.registry.published import Key
from vaebench.registry.runs import Evaluation, Run
from vaebench.results.measured import Measured, State
from vaebench.store.store import Record, Store


def measure(expansion: Expansion, store: Store) -> dict[Key, Measured]:
    """Every cell of the table that we measure, from what the store holds now."""
    records = {run_id: store.record(run_id) for run_id in expansion.runs}
    failed = {run_id for run_id in records if store.failure(run_id) is not None}
    return {m.key: _cell(m, records, failed) for m in expansion.measurements}


def best_run(measurement: Measurement, store: Store) -> Run | None:
    """The finished run that the table's criterion picks among the candidates, if there is one."""
    runs = candidates(measurement)
    done = {run.id: record for run in runs if (record := store.record(run.id))}
    picked = _best(measurement, {i: r for i, r in done.items() if r["status"] == "done"})
    return next((run for run in runs if run.id == picked), None)


def candidates(measurement: Measurement) -> tuple[Run, ...]:
    """The runs that a figure may show: all seeds where the table selects one, else the first."""
    return measurement.runs if measurement.select else measurement.runs[:1]


def panel_measurement(panel: FigurePanel, expansion: Expansion, figure: str) -> Measurement:
    """A cell with all the runs that the panel may be drawn from.

    UserError, naming the panel, where the table has none.
    """
    spec, name = expansion.spec, panel_name(panel)
    place = (panel.row, panel.group, panel.run)
    cells = [m for m in expansion.measurements if (*m.key[:2], m.column.run) == place]
    if cells:
        return max(cells, key=lambda cell: len(cell.runs))  # one over all seeds
    row = spec.rows.get(panel.row)
    if row is None or panel.group not in spec.groups or not spec.has_method(row):
        raise UserError(
            f"{figure} cannot be run yet: {name} needs the row {panel.row!r} of {spec.id} "
            f"on {panel.group!r}, which has no method"
        )
    if panel.run is not None and panel.run not in {c.run for c in spec.columns.values()}:
        raise UserError(
            f"{figure} cannot be run yet: {name} needs the run {panel.run!r}, of which {spec.id} "
            "has no column"
        )
    raise UserError(
        f"{figure}: {name} needs the row {panel.row!r} of {spec.id}, which --only leaves out"
    )


def panel_evaluation(panel: FigurePanel, measurement: Measurement, figure: str) -> Evaluation:
    """What makes the panel's arrays, on each of the runs that it may be drawn from."""
    where = f"{figure}: {panel_name(panel)}: data"
    view = other_view(measurement.runs[0].data, panel.data, where)
    return Evaluation(panel.evaluation, panel.parameters, data=view)


def panel_name(panel: FigurePanel) -> str:
    """A panel for messages."""
    heads = (panel.line, panel.over, panel.title)
    return f"the panel {', '.join(head for head in heads if head)!r}"


def _cell(
    measurement: Measurement, records: Mapping[str, Record | None], failed: set[str]
) -> Measured:
    ids = [run.id for run in measurement.runs]
    done: dict[str, Record] = {}
    diverged: list[str] = []
    for run_id in ids:
        record = records[run_id]
        if record is None:
            continue
        if record["status"] == "diverged":
            diverged.append(run_id)
        elif all(e.key in record["evaluations"] for e in measurement.evaluations):
            done[run_id] = record
    column, wanted = measurement.column, measurement.wanted
    # A mean without its diverged seeds would flatter the method; a best-of-n ignores them.
    if diverged and (not done or column.aggregation != "best"):
        seeds = len(diverged)
        return Measured("diverged", seeds=seeds, wanted=wanted, runs=tuple(diverged))
    if not done:
        return Measured("failed" if failed & set(ids) else "missing", wanted=wanted)
    picked = None
    if column.aggregation == "best":
        picked = _best(measurement, done)
        value, std = _value(measurement, done[picked], column.value) if picked else None, None
    else:
        value, std = _mean([_value(measurement, r, column.value) for r in done.values()])
        if column.deviation is not None:
            (record,) = done.values()  # the column is of a single run
            std = _value(measurement, record, column.deviation)
    if value is None:
        state: State = "not applicable"
        return Measured(state, None, None, len(done), wanted, tuple(done), picked)
    return Measured("measured", value, std, len(done), wanted, tuple(done), picked)


def _value(measurement: Measurement, record: Record, name: str) -> Any:
    evaluation = measurement.evaluation
    values: dict[str, Any] = record["evaluations"][evaluation.key]["values"]
    if name not in values:
        raise UserError(f"{measurement.key}: {evaluation.name}: {unknown('value', name, values)}")
    return values[name]


def _best(measurement: Measurement, done: Mapping[str, Record]) -> str | None:
    """The id of the seed with the best criterion; the first of equals."""
    select = measurement.select
    if select is None or not done:
        return next(iter(done), None)
    key = Evaluation(select.evaluation).key
    sign = 1 if select.better == "lower" else -1
    scores = {
        run_id: sign * record["evaluations"][key]["values"][select.value]
        for run_id, record in done.items()
        if key in record["evaluations"]
    }
    return min(scores, key=lambda run_id: scores[run_id], default=None)


def _mean(values: list[Any]) -> tuple[Any, float | None]:
    """Mean and population deviation; a text or a single value stands for itself."""
    if len(values) == 1 or not all(isinstance(value, int | float) for value in values):
        return values[0], None
    return statistics.fmean(values), statistics.pstdev(values)
