"""`vaebench eval`: evaluate finished runs again."""

from pathlib import Path

from vaebench.cli.targets import Targets, find_targets, runnable_targets
from vaebench.errors import UserError, unknown
from vaebench.execution.plan import Work, check_plan
from vaebench.registry.names import SCALES, figure_paths, table_paths
from vaebench.registry.selection import Selection
from vaebench.store.store import Store


def evaluate(
    target: str,
    evaluation: str | None,
    scale: str,
    selection: Selection,
    results: Path,
    data: Path,
) -> int:
    """Evaluate again and print the changes of each run; the exit code."""
    store = Store(results)
    targets = _targets(target, scale, selection)
    check_plan(targets.plan)
    finished = [
        _narrowed(work, evaluation)
        for work in targets.plan.work.values()
        if store.weights(work.run.id).exists() and store.record(work.run.id) is not None
    ]
    if not finished:
        raise UserError(f"no finished run of {target} has its weights in {store.root}")
    store.prepare()
    from vaebench.cli.progress import make_reporter
    from vaebench.execution.local import evaluate_again

    failed = False
    with make_reporter() as reporter:
        for run_id, changes in evaluate_again(finished, store, data, reporter):
            failed |= changes is None
            reporter.say(f"{run_id}: " + ("failed" if changes is None else changes or "unchanged"))
    targets.write_summaries(store)
    return int(failed)


def _targets(target: str, scale: str, selection: Selection) -> Targets:
    """The targets of a table, or of the tables and scale that a run id belongs to."""
    if target in table_paths() or target in figure_paths() or target.endswith((".yaml", ".yml")):
        return find_targets([target], scale, selection)
    ids: set[str] = set()
    for candidate in SCALES:
        for table in runnable_targets():
            targets = find_targets([table], candidate, selection)
            if target in targets.plan.work:
                only = {target: targets.plan.work[target]}
                return Targets(targets.expansions, candidate, selection, type(targets.plan)(only))
            ids.update(targets.plan.work)
    raise unknown("table or run", target, [*table_paths(), *ids])


def _narrowed(work: Work, evaluation: str | None) -> Work:
    if evaluation is None:
        return work
    kept = {key: one for key, one in work.evaluations.items() if one.name == evaluation}
    if not kept:
        names = {one.name for one in work.evaluations.values()}
        raise unknown("evaluation", evaluation, names)
    return Work(work.run, kept, work.tables, work.step_ms)
