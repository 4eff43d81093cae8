"""`vaebench plot`: a figure of a paper, or the learning curves of a table."""

from pathlib import Path

import click

from vaebench.cli.targets import expand_figure, expand_table
from vaebench.errors import UserError
from vaebench.registry.loading import load_figure
from vaebench.registry.names import figure_paths
from vaebench.registry.selection import Selection
from vaebench.store.store import Store

FORMATS = ("png", "svg", "pdf")


def plot(
    target: str, scale: str, form: str, out: Path | None, selection: Selection, results: Path
) -> None:
    """Draw and save a figure or learning curves, and say where."""
    store = Store(results)
    from vaebench.results import figures

    if target in figure_paths():
        figure = load_figure(target)
        expansions = expand_figure(figure, scale, selection)
        drawing = figures.draw(figure, expansions, store, scale)
        name = figure.id
    else:
        expansion = expand_table(target, scale, selection)
        drawing = figures.learning_curves(expansion, store, scale)
        name = f"{expansion.spec.id}-curves"
    parts = [name, scale, *([selection.variant] if selection.variant else [])]
    path = out or store.root / "figures" / (".".join(parts) + f".{form}")
    if path.suffix.lstrip(".") not in FORMATS:
        raise UserError(f"--out {path}: expected a name that ends in {', '.join(FORMATS)}")
    try:
        figures.save(drawing, path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}") from error
    click.echo(f"wrote {path}: {drawing.statement}", err=True)
