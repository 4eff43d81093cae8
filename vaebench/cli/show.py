"""`vaebench show`: one table in words."""

from pathlib import Path

import click

from vaebench.cli.planning import total_cost
from vaebench.cli.targets import runnable_tables, why_not_runnable
from vaebench.data import catalog
from vaebench.execution.plan import Costs, make_plan
from vaebench.registry.expansion import Expansion, expand
from vaebench.registry.figure_spec import FigurePanel, FigureSweep
from vaebench.registry.loading import (
    load_figure,
    load_table,
    paper_spec,
    published_cells,
    spec_path,
)
from vaebench.registry.names import figure_paths
from vaebench.registry.runs import Run
from vaebench.store.store import Store


def show_yaml(table: str) -> None:
    """Print the spec file of a table."""
    click.echo(spec_path(table).read_text(encoding="utf-8"), nl=False)


def show(table: str, scale: str, results: Path) -> None:
    """Print what a table is and what is left to do for it."""
    store = Store(results)
    if table in figure_paths():
        _show_figure(table)
        return
    expansion = expand(load_table(table, scale))
    spec = expansion.spec
    paper = paper_spec(spec.paper)
    click.echo(f"{spec.id}: {spec.caption}")
    click.echo(f"{paper.title}. {paper.reference}")
    if not spec.runnable:
        keys = published_cells(spec)
        click.echo(f"{len(keys)} published cells; no row has a method")
        return
    if spec.reduced:
        click.echo(f"{scale} scale, reduced: {spec.reduced}")
    _show_rows(expansion)
    _show_columns(expansion)
    _show_runs(expansion, scale, store)
    for kind, texts in (("Assumption", spec.assumptions), ("Misprint", spec.misprints)):
        for text in texts:
            click.echo(f"{kind}: {text}")


def _show_rows(expansion: Expansion) -> None:
    click.echo("\nRows")
    seen: set[tuple[str, str]] = set()
    for measurement in expansion.measurements:
        key, run = measurement.key, measurement.runs[0]
        if (key.row, key.group) not in seen:
            seen.add((key.row, key.group))
            arguments = ", ".join(f"{name}={value}" for name, value in run.arguments.items())
            click.echo(f"  {key.row} · {key.group}: {run.method}({arguments})")


def _show_columns(expansion: Expansion) -> None:
    click.echo("\nColumns")
    spec = expansion.spec
    told = spec.told_columns()
    for name, column in (spec.all_columns() | told).items():
        if name in spec.columns and name not in told:
            continue
        extra = ", extra" if column.extra else ""
        click.echo(f"  {name}: {column.dialect}, {column.unit}, {column.aggregation}{extra}")


def _show_runs(expansion: Expansion, scale: str, store: Store) -> None:
    runs = list(expansion.runs.values())
    click.echo("\nRuns")
    for name in dict.fromkeys(run.data.dataset for run in runs):
        entry = catalog.lookup(name)
        click.echo(f"  data: {name} ({entry.kind}), {entry.title}")
    plan = make_plan([expansion])
    alike: dict[str, list[Run]] = {}
    for work in plan.work.values():
        alike.setdefault(_settings(work.run), []).append(work.run)
    for told, members in alike.items():
        seeds = len({run.seed for run in members})
        click.echo(f"  {_count(len(members), 'run')}, {_count(seeds, 'seed')}: {told}")
    costs = Costs(store.records())
    done = len(plan.work) - len(plan.open(store))
    click.echo(f"  {done} of them finished")
    click.echo(f"  {total_cost([costs.of(work) for work in plan.open(store)])}")
    for other in runnable_tables():
        if other != expansion.spec.id:
            shared = len(expansion.runs.keys() & expand(load_table(other, scale)).runs.keys())
            if shared:
                click.echo(f"  {shared} of them are runs of {other} too")
    click.echo("")


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + ("" if number == 1 else "s")


def _settings(run: Run) -> str:
    """How a run trains, in a line that equal ones share; runs with inputs name their method."""
    training = run.training
    if training is None:
        return f"{run.data.dataset} itself, nothing is trained"
    told = [
        f"{run.method} on the models of others" if run.inputs else "",
        run.data.dataset,
        f"{training.epochs} epochs",
        f"batch {training.batch_size}",
        f"{training.optimizer.name} lr {training.optimizer.lr}",
        f"{training.schedule.name} schedule" if training.schedule else "",
        f"the best by {training.monitor}" if training.keep else "",
    ]
    return ", ".join(part for part in told if part)


def _show_figure(name: str) -> None:
    figure = load_figure(name)
    click.echo(f"{figure.id}: {figure.caption}")
    if figure.mixture is not None:
        mixture = figure.mixture
        count = len(mixture.centres)
        click.echo(f"  {mixture.title}: {count} Gaussians, {mixture.draws} draws of them")
    for panel in figure.all_panels():
        heads = " · ".join(head for head in (panel.line, panel.over, panel.title) if head)
        run = f" · run {panel.run}" if panel.run else ""
        source = f"{panel.table} {panel.row} · {panel.group}{run}"
        click.echo(f"  {heads}: {source}, {panel.evaluation}{_settings_of(panel)}")
    for axes in figure.axes:
        heads = " · ".join(head for head in (axes.line, axes.title) if head)
        curves = ", ".join((*axes.groups, *axes.curves, *filter(None, [axes.level])))
        click.echo(f"  {heads}: {axes.table} {axes.column} against {axes.against}, {curves}")
    if figure.sweep is not None:
        _show_sweep(figure.sweep)
    lacking = why_not_runnable(figure)
    if lacking:
        click.echo(lacking)
    for text in figure.assumptions:
        click.echo(f"Assumption: {text}")


def _show_sweep(sweep: FigureSweep) -> None:
    click.echo(f"  {sweep.column}: {sweep.table} {sweep.row} · {', '.join(sweep.groups)}, with")
    for argument, swept in sweep.arguments.items():
        values = ", ".join(f"{value:g}" for value in swept.values)
        click.echo(f"    {swept.name} ({argument}) = {values}")


def _settings_of(panel: FigurePanel) -> str:
    """Its parameters, and what it changes of the run's view of the data."""
    parameters = "".join(f" {name}={value}" for name, value in panel.parameters.items())
    data = "".join(
        f" {name}={'unset' if value is None else value}" for name, value in panel.data.items()
    )
    return parameters + (f", data{data}" if data else "")
