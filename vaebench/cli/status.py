"""`vaebench status`: what runs, what is done, what failed and why."""

from pathlib import Path

import click

from vaebench.cli.planning import total_cost
from vaebench.cli.targets import find_targets, runnable_targets, selected_parts
from vaebench.data.folder import data_folder
from vaebench.data.weights import absent_weights
from vaebench.execution.plan import Costs, Work
from vaebench.registry.selection import Selection
from vaebench.store.store import Store


def status(tables: tuple[str, ...], scale: str, selection: Selection, results: Path) -> None:
    """Print the state of the runs of each table, and the time left."""
    store = Store(results)
    shown = False
    for name, part in selected_parts(tables or runnable_targets(), scale, selection).items():
        plan = find_targets([name], scale, part).plan
        plan = plan.without_files(absent_weights(plan.files, data_folder()))
        work = list(plan.work.values())
        states = {entry.run.id: _state(entry, store) for entry in work}
        if not tables and all(state == "waiting" for state, _ in states.values()):
            continue
        shown = True
        done = sum(state in ("done", "diverged") for state, _ in states.values())
        click.echo(f"{name}, {scale} scale: {done} of {len(work)} runs done")
        for entry in work:
            state, detail = states[entry.run.id]
            if state not in ("done", "waiting"):
                click.echo(f"  {state:9} {entry.run.sentence}" + (f": {detail}" if detail else ""))
        waiting = sum(state == "waiting" for state, _ in states.values())
        if waiting:
            click.echo(f"  waiting   {waiting} runs")
        open_work = plan.open(store)
        if open_work:
            costs = Costs(store.records())
            click.echo(f"  left, {total_cost([costs.of(entry) for entry in open_work])}")
    if not shown:
        click.echo(f"no run has started at {scale} scale in {store.root}", err=True)


def _state(work: Work, store: Store) -> tuple[str, str | None]:
    """The state of a run and what there is to say about it."""
    run = work.run
    record = store.record(run.id)
    if record is not None and record["status"] == "diverged":
        return "diverged", record["reason"]
    epochs = f"epoch {store.epochs_done(run.id)} of {run.epochs}"
    if store.busy(run.id):
        return "running", epochs if record is None else "evaluating"
    failure = store.failure(run.id)
    if failure is not None:
        return "failed", failure["message"]
    if record is not None:
        missing = ", ".join(evaluation.name for evaluation in work.missing(store))
        return ("unmeasured", f"lacks {missing}") if missing else ("done", None)
    if store.epochs_done(run.id):
        return "stopped", epochs
    return "waiting", None
