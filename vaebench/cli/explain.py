"""`vaebench explain`: one number and where it comes from."""

import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
from tabulate import tabulate

from vaebench.cli.options import default_results
from vaebench.cli.planning import duration
from vaebench.data import catalog
from vaebench.registry.expansion import Measurement, expand
from vaebench.registry.loading import load_table
from vaebench.registry.runs import Optimizer, Run, Schedule, TokenizerSettings, Training
from vaebench.registry.selection import Selection
from vaebench.results.explanation import Explanation, Seed, explain, sparkline
from vaebench.results.grid import DASH
from vaebench.results.measured import Measured
from vaebench.store.store import Store

_AGAIN = "again"  # a results folder in which nothing is finished yet
_VERSIONS = ("vaebench", "python", "torch", "numpy", "scikit-learn", "system")


def explain_cell(
    table: str,
    row: str,
    group: str | None,
    column: str,
    scale: str,
    selection: Selection,
    results: Path,
) -> None:
    """Print all that is known of one cell."""
    expansion = expand(load_table(table, scale), selection)
    told = explain(expansion, Store(results), scale, selection, row, group, column)
    key = told.key
    click.echo(f"{told.spec.id}: {key.row} · {key.group} · {key.column}")
    click.echo(f"{told.spec.caption}")
    click.echo("")
    for name, text in _lines(told, scale, selection.changes):
        click.echo(f"{name:10} {text}".rstrip())
    if told.seeds:
        click.echo("")
        click.echo(_seed_table(told))
        click.echo("")
        for name, text in _run_lines(told):
            click.echo(f"{name:10} {text}")
    for kind, texts in (("Assumption", told.assumptions), ("Misprint", told.misprints)):
        for text in texts:
            click.echo(f"{kind}: {text}")
    if told.elsewhere:
        command = "show" if told.spec.runnable else "table"
        rest = shlex.join(["vaebench", command, table])
        click.echo(f"({told.elsewhere} more on other columns: `{rest}`)")
    for line in _commands(told, results):
        click.echo(line)


def _lines(told: Explanation, scale: str, changes: str | None) -> Iterator[tuple[str, str]]:
    """The paper's number and ours."""
    if told.printed is None:
        yield "paper", "prints no such number"
    else:
        std = f" ± {told.printed.std}" if told.printed.std else ""
        yield "paper", (told.printed.value or DASH) + std
        if told.printed.note:
            yield "", told.printed.note
    yield "", f"{told.paper.title}. {told.paper.reference}"
    if told.measurement is None or told.ours is None:
        yield "ours", f"not measured: {told.unmeasured}"
        return
    yield "ours", _value_line(told.ours, told.measurement, scale)
    reduced = told.spec.reduced
    comparable = f", reduced, so not comparable with the paper: {reduced}" if reduced else ""
    yield "", f"{scale} scale{comparable}" + (f", changed runs ({changes})" if changes else "")
    evaluation = told.measurement.evaluation
    column = told.measurement.column
    yield "", f"{column.dialect}: {column.value} of {_call(evaluation.name, evaluation.parameters)}"
    select = told.measurement.select
    if column.aggregation == "best" and select is not None:
        yield "", f"best: {select.says} ({select.value} of {select.evaluation}, {select.better})"


def _value_line(ours: Measured, measurement: Measurement, scale: str) -> str:
    """`79.016529 nats an image, best of 5 seeds`, or in what state the cell is."""
    column = measurement.column
    how = {
        "best": f"best of {ours.wanted} seeds",
        "mean": f"mean of {ours.wanted} seeds with population deviation",
        "single": "the first seed",
    }[column.aggregation]
    if column.deviation is not None:
        how += f" with its {column.deviation}"
    if ours.state == "missing":
        return f"not measured yet ({column.unit}, {how})"
    if ours.state != "measured":
        return f"{ours.state} ({column.unit}, {how})"
    std = "" if ours.std is None else f" ± {_number(ours.std)}"
    few = f", {ours.seeds} of them so far" if ours.seeds < ours.wanted else ""
    return f"{_number(ours.value)}{std} {column.unit}, {how}{few}"


def _seed_table(told: Explanation) -> str:
    """One line a seed: value, criterion, loss, run."""
    select = told.measurement.select if told.measurement else None
    by_criterion = any(seed.criterion is not None for seed in told.seeds) and select is not None
    head = ["seed", "value", *([select.value] if by_criterion and select else [])]
    head += ["", "loss", "made", "run"]
    rows = []
    for seed in told.seeds:
        state: str = "picked" if seed.picked else "" if seed.state == "done" else seed.state
        if seed.reason:
            state += f": {seed.reason}"
        loss = f"{seed.loss[0]:.6g} → {seed.loss[-1]:.6g}" if seed.loss else ""
        made = str(seed.provenance.get("finished", ""))[:10]
        criterion = [_number(seed.criterion)] if by_criterion else []
        rows.append(
            [seed.run.seed, _number(seed.value), *criterion, state, loss, made, seed.run.id]
        )
    sides = ["right"] * (len(head) - 4) + ["left"] * 4
    return tabulate(rows, head, tablefmt="plain", disable_numparse=True, colalign=sides)


def _run_lines(told: Explanation) -> Iterator[tuple[str, str]]:
    """What the runs share, and where they differ each of it."""
    run = told.seeds[0].run
    done = [seed for seed in told.seeds if seed.record is not None]
    if done:
        yield "records", f"{done[0].path.parent}/<run>.json"
    yield "method", _call(run.method, run.arguments)
    for name, needed in run.inputs.items():
        yield "input", f"{name}: {needed.id}"
    if told.measurement is not None:
        for name, needed in told.measurement.evaluation.inputs.items():
            yield "input", f"{name}: {needed.id}"
        for name, file in told.measurement.evaluation.files.items():
            yield "file", f"{name}: {file}"
    yield "data", _data(run) + _each(done, _sha)
    if told.measurement is not None and told.measurement.evaluation.data is not None:
        view = told.measurement.evaluation.data.model_dump(exclude_none=True).items()
        yield "evaluated on", ", ".join(f"{name} {_plain(value)}" for name, value in view)
    yield "training", _training(run)
    yield "protocol", f"{run.paper} {run.version}, {told.spec.source}"
    for name, what in (
        ("code", _code),
        ("versions", _versions),
        ("machine", _machine),
    ):
        if done:
            yield name, _each(done, what)
    yield from _times(done)
    drawn = next((seed for seed in done if seed.picked), done[0] if done else None)
    if drawn is not None and drawn.loss:
        epochs = f"seed {drawn.run.seed}, loss of {len(drawn.loss)} epochs"
        yield "curve", f"{sparkline(drawn.loss)} {epochs}"


def _each(seeds: list[Seed], what: Callable[[dict[str, Any]], str]) -> str:
    """What is said of all seeds, each different thing once."""
    return " / ".join(dict.fromkeys(what(seed.provenance) for seed in seeds))


def _sha(provenance: dict[str, Any]) -> str:
    return f", sha256 {provenance['data_sha256']}" if provenance.get("data_sha256") else ""


def _code(provenance: dict[str, Any]) -> str:
    if not provenance.get("commit"):
        return "no commit known"
    changed = ", with changes that are not committed" if provenance["modified"] else ""
    return f"commit {provenance['commit']}{changed}"


def _versions(provenance: dict[str, Any]) -> str:
    return ", ".join(f"{name} {provenance[name]}" for name in _VERSIONS if provenance.get(name))


def _machine(provenance: dict[str, Any]) -> str:
    numerics = provenance.get("numerics", {})
    processor = provenance.get("cpu" if numerics.get("device") == "cpu" else "gpu")
    return ", ".join([str(processor), *(f"{name} {value}" for name, value in numerics.items())])


def _times(done: list[Seed]) -> Iterator[tuple[str, str]]:
    """When the runs were made and how long a run took."""
    dates = sorted(str(s.provenance["finished"]) for s in done if "finished" in s.provenance)
    if dates:
        yield "made", dates[0] + (f" to {dates[-1]}" if dates[-1] != dates[0] else "")
    parts = []
    for name, what in (("training_seconds", "training"), ("evaluation_seconds", "evaluation")):
        seconds = sorted(float(s.provenance[name]) for s in done if name in s.provenance)
        if seconds:
            low, high = duration(seconds[0]), duration(seconds[-1])
            parts.append(f"{what} {low}" + (f" to {high}" if low != high else ""))
    if parts:
        yield "time", ", ".join(parts) + " a run"


def _data(run: Run) -> str:
    entry = catalog.lookup(run.data.dataset)
    view = run.data.model_dump(exclude_none=True, exclude={"dataset", "tokenizer"})
    if run.data.tokenizer is not None:
        view["tokenizer"] = _tokenizer(run.data.tokenizer)
    shown = "".join(f", {name} {value}" for name, value in view.items())
    return f"{entry.name} ({entry.kind}), {entry.title}{shown}"


def _tokenizer(settings: TokenizerSettings) -> str:
    """`bpe 8000`, `the 12000 most frequent words`."""
    if settings.kind == "words" and settings.size is not None:
        return f"the {settings.size} most frequent words"
    return " ".join(map(str, settings.model_dump(exclude_none=True).values()))


def _training(run: Run) -> str:
    """`50 epochs, batch size 128, adam (lr 0.001, …), the best by validation-loss`."""
    training = run.training
    if training is None:
        return "none, the data themselves"
    told = [
        f"{training.epochs} epochs",
        f"batch size {training.batch_size}",
        _named(training.optimizer),
        f"gradients clipped to norm {_plain(training.clip)}" if training.clip else "",
        f"rate by {_named(training.schedule)}" if training.schedule else "",
        f"Polyak average of {_plain(training.average)}" if training.average else "",
        f"the best by {training.monitor}{_draws(training)}" if training.keep else "",
        "without a short last batch" if training.drop_last else "",
        f"in buckets of at least {training.buckets.least}" if training.buckets else "",
    ]
    return ", ".join(part for part in told if part)


def _draws(training: Training) -> str:
    """How many draws of z what is watched takes, where that is said."""
    return f" ({training.monitor_draws} draws)" if training.monitor_draws else ""


def _named(settings: Optimizer | Schedule) -> str:
    """`adam (lr 0.001, …)`."""
    rest = settings.model_dump(exclude={"name"}, exclude_none=True).items()
    return f"{settings.name} ({', '.join(f'{name} {_plain(value)}' for name, value in rest)})"


def _commands(told: Explanation, results: Path) -> Iterator[str]:
    """What measures the row; for finished runs, in a folder where they are not yet."""
    if not told.command:
        return
    where = [] if results == default_results() else ["--results-dir", str(results)]
    if any(seed.state not in ("done", "diverged") for seed in told.seeds):
        yield f"to measure what is missing: {shlex.join([*told.command, *where])}"
    if any(seed.state in ("done", "diverged") for seed in told.seeds):
        again = [*told.command, "--results-dir", _AGAIN]
        yield f"to make it again, in a new folder: {shlex.join(again)}"


def _call(name: str, arguments: dict[str, Any]) -> str:
    inner = ", ".join(f"{key}={value}" for key, value in arguments.items())
    return f"{name}({inner})" if inner else name


def _plain(value: Any) -> str:
    return " and ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _number(value: Any) -> str:
    if value is None:
        return DASH
    return f"{value:.8g}" if isinstance(value, float) else str(value)
