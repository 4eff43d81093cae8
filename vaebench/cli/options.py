"""Options that several commands share, and what they mean."""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from vaebench import plugins
from vaebench.cli.crew import Crew, read_gpus
from vaebench.data.catalog import CATALOG, WEIGHTS
from vaebench.data.folder import data_folder
from vaebench.registry.names import SCALES, figure_paths, table_paths
from vaebench.registry.selection import Selection

Command = Callable[..., Any]


def scale_option(command: Command) -> Command:
    """`--scale`; a wrong one is answered by the registry, with the nearest name."""
    return click.option(
        "--scale",
        default="paper",
        show_default=True,
        metavar="|".join(SCALES),
        help="paper: the paper's protocol; small: real data, reduced; smoke: seconds, no download.",
    )(command)


def results_option(command: Command) -> Command:
    """`--results-dir`, given to the command as `results`, a folder."""
    return click.option(
        "--results-dir",
        "results",
        type=click.Path(file_okay=False, path_type=Path),
        callback=lambda ctx, parameter, value: value or default_results(),
        help="Where runs, records and tables are kept [default: $VAEBENCH_RESULTS or ./results].",
    )(command)


def data_option(command: Command) -> Command:
    """`--data-dir`, given to the command as `data`, a folder."""
    return click.option(
        "--data-dir",
        "data",
        type=click.Path(file_okay=False, path_type=Path),
        callback=lambda ctx, parameter, value: data_folder(value),
        help="Where data sets are kept [default: $VAEBENCH_DATA or the user's cache].",
    )(command)


def device_option(command: Command) -> Command:
    """`--device`."""
    return click.option(
        "--device", metavar="cpu|cuda", help="Where to train [default: a GPU if there is one]."
    )(command)


def crew_options(command: Command) -> Command:
    """`--jobs --gpus --device --compile --precision`, given to the command as one Crew."""

    @click.option(
        "--jobs",
        type=click.IntRange(min=1),
        envvar="VAEBENCH_JOBS",
        metavar="N",
        help="Runs at once, each with one CPU thread [default: a run a core, or a run a GPU].",
    )
    @click.option("--gpus", metavar="0,1", help="GPUs to use, by number; a worker has one.")
    @device_option
    @click.option(
        "--compile",
        is_flag=True,
        help="Compile training on images: pays after some minutes a run, moves the last bits.",
    )
    @click.option(
        "--precision",
        type=click.Choice(["float32", "bf16"]),
        default="float32",
        show_default=True,
        help="Of training; bf16 rounds products, so it moves numbers. Evaluation is float32.",
    )
    @functools.wraps(command)
    def wrapped(
        *arguments: Any,
        jobs: int | None,
        gpus: str | None,
        device: str | None,
        compile: bool,
        precision: str,
        **rest: Any,
    ) -> Any:
        crew = Crew(jobs, read_gpus(gpus), device, compile, precision)
        return command(*arguments, crew=crew, **rest)

    decorated: Command = wrapped
    return decorated


def plugin_option(command: Command) -> Command:
    """`--plugin`: import a user's modules, so that what they register is known."""
    return click.option(
        "--plugin",
        "plugins",
        multiple=True,
        metavar="MODULE",
        expose_value=False,
        callback=lambda ctx, parameter, names: plugins.load(names),
        help="A Python module of your own with methods, evaluators or data sets.",
    )(command)


_SELECTION = (
    click.option("--seeds", type=int, metavar="N", help="Only the first N seeds."),
    click.option(
        "--only",
        multiple=True,
        metavar="PATTERN",
        help="Only rows or groups that match; of both, where they cross.",
    ),
    click.option(
        "--limit",
        type=click.IntRange(min=10),
        metavar="N",
        help="A class-balanced draw of N training and N/5 test examples; goes to a CSV of its own.",
    ),
    click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="KEY=VALUE",
        help="Change runs, such as training.epochs=2; goes to a CSV of its own.",
    ),
)


def selection_options(command: Command) -> Command:
    """`--seeds --only --limit --set`, given to the command as one Selection."""

    @functools.wraps(command)
    def wrapped(
        *arguments: Any,
        seeds: int | None,
        only: tuple[str, ...],
        limit: int | None,
        settings: tuple[str, ...],
        **rest: Any,
    ) -> Any:
        return command(*arguments, selection=Selection(seeds, only, limit, settings), **rest)

    decorated: Command = wrapped
    for option in reversed(_SELECTION):
        decorated = option(decorated)
    return decorated


def change_options(command: Command) -> Command:
    """`--limit --set`, given to the command as one Selection: whose runs, not which."""

    @functools.wraps(command)
    def wrapped(*arguments: Any, limit: int | None, settings: tuple[str, ...], **rest: Any) -> Any:
        return command(*arguments, selection=Selection(None, (), limit, settings), **rest)

    return _SELECTION[2](_SELECTION[3](wrapped))


def complete_specs(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Table and figure ids for the shell."""
    return [n for n in (*table_paths(), *figure_paths()) if n.startswith(incomplete)]


def complete_data(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Data sets and weights for the shell."""
    return [name for name in (*CATALOG, *WEIGHTS) if name.startswith(incomplete)]


def default_results() -> Path:
    """The results folder where none is named."""
    return Path(os.environ.get("VAEBENCH_RESULTS") or "results")
