"""What a plan costs, in words."""

from collections.abc import Iterable

import click

from vaebench.cli.targets import Targets
from vaebench.execution.plan import Cost, Costs, Work
from vaebench.execution.slots import cores
from vaebench.store.store import Store


def show_plan(targets: Targets, store: Store) -> None:
    """Print the runs that are needed, stored and shared, and what the open ones cost."""
    plan = targets.plan
    open_work = plan.open(store)
    click.echo(f"{len(plan.work)} runs, {len(plan.work) - len(open_work)} of them finished")
    shared = sum(len(set(entry.tables)) > 1 for entry in plan.work.values())
    if shared:
        click.echo(f"{shared} of them are shared between tables")
    costs = _costs(open_work, store)
    groups: dict[str, list[tuple[Work, Cost]]] = {}
    for entry, cost in costs:
        name = f"{_what(entry, store)} {entry.run.sentence.rpartition('/')[0]}"
        groups.setdefault(name, []).append((entry, cost))
    for name, members in groups.items():
        seeds = ", ".join(str(entry.run.seed) for entry, _ in members)
        seconds = [cost.seconds for _, cost in members]
        total = None if None in seconds else sum(s for s in seconds if s is not None)
        click.echo(f"  {name}, seeds {seeds}: {'?' if total is None else duration(total)}")
    click.echo(total_cost([cost for _, cost in costs]))


def _what(entry: Work, store: Store) -> str:
    if store.record(entry.run.id) is None:
        return "train"
    if entry.trains(store):
        return "train again"
    return f"evaluate {', '.join(evaluation.name for evaluation in entry.missing(store))} on"


def total_cost(costs: list[Cost]) -> str:
    """One sentence on the time, memory and disk of the open runs."""
    if not costs:
        return "nothing to do"
    unknown = sum(cost.seconds is None for cost in costs)
    seconds = sum(cost.seconds or 0 for cost in costs)
    measured = sum(cost.measured for cost in costs)
    jobs, longest = min(cores(), len(costs)), max(cost.seconds or 0 for cost in costs)
    side_by_side = f", {duration(max(seconds / jobs, longest))} on {jobs}" if jobs > 1 else ""
    told = f"about {duration(seconds)} on one core{side_by_side}"
    parts = [f"{told} ({measured} of {len(costs)} as measured)"]
    if unknown:
        parts.append(f"{unknown} runs of unknown cost")
    peaks = [cost.peak_mb for cost in costs if cost.peak_mb]
    disks = [cost.disk_mb for cost in costs if cost.disk_mb]
    if peaks:
        parts.append(f"{max(peaks):.0f} MB of memory a run")
    if disks:
        parts.append(f"{len(costs) * sum(disks) / len(disks):.0f} MB of disk")
    return "cost: " + ", ".join(parts)


def duration(seconds: float) -> str:
    """`50 s`, `12 min` or `3.4 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _costs(work: Iterable[Work], store: Store) -> list[tuple[Work, Cost]]:
    costs = Costs(store.records())
    return [(entry, costs.of(entry)) for entry in work]
