"""Figures of the papers and learning curves, with matplotlib's object interface."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from vaebench.errors import UserError
from vaebench.registry.expansion import Expansion
from vaebench.registry.runs import Evaluation
from vaebench.registry.spec import FigurePanel, FigureSpec
from vaebench.results.cells import best_run
from vaebench.store.atomic import write_bytes
from vaebench.store.store import Store

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Drawing:
    """A finished figure and a sentence on what is in it."""

    figure: "Figure"
    statement: str


def image_grids(
    spec: FigureSpec, expansions: Mapping[str, Expansion], store: Store, scale: str
) -> Drawing:
    """Square grids of images side by side, one a panel (IGP Figures 5 and 6).

    UserError, with the command that makes them, where a panel has no images yet.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.4 * len(spec.panels), 3.8), layout="constrained")
    axes = figure.subplots(1, len(spec.panels), squeeze=False)[0]
    seeds = []
    for axis, panel in zip(axes, spec.panels, strict=True):
        images, seed = _panel_images(panel, expansions[panel.table], store, spec.id, scale)
        axis.imshow(tile(images), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        axis.set_title(panel.title)
        axis.set_axis_off()
        seeds.append(f"{panel.title} seed {seed}")
    if scale != "paper":
        figure.suptitle(f"{spec.id}, {scale} scale: not comparable with the paper", fontsize=9)
    return Drawing(figure, f"{scale} scale, {', '.join(seeds)}")


def tile(images: np.ndarray) -> np.ndarray:
    """Images [N, H, W] in rows of about sqrt(N): [rows * H, columns * W]."""
    count, height, width = images.shape
    columns = math.isqrt(count - 1) + 1
    rows = -(-count // columns)
    padded = np.zeros((rows * columns, height, width), images.dtype)
    padded[:count] = images
    grid = padded.reshape(rows, columns, height, width).swapaxes(1, 2)
    return grid.reshape(rows * height, columns * width)


def learning_curves(expansion: Expansion, store: Store, scale: str) -> Drawing:
    """The loss by epoch, one line a row: the mean over seeds, and their range as a band."""
    from matplotlib.figure import Figure

    curves = _curves(expansion, store)
    if curves.empty:
        raise UserError(f"{expansion.spec.id} has no finished run at {scale} scale in {store.root}")
    groups = list(dict.fromkeys(curves["group"]))
    figure = Figure(figsize=(6.4 * len(groups), 4.4), layout="constrained")
    axes = figure.subplots(1, len(groups), squeeze=False)[0]
    colors = _colors(list(expansion.spec.rows))
    for axis, group in zip(axes, groups, strict=True):
        part = curves[curves["group"] == group]
        for row, lines in part.groupby("row", sort=False):
            loss = lines.groupby("epoch")["loss"].agg(["mean", "min", "max"])
            axis.plot(loss.index, loss["mean"], label=row, color=colors[str(row)], linewidth=1.4)
            axis.fill_between(
                loss.index, loss["min"], loss["max"], color=colors[str(row)], alpha=0.2, linewidth=0
            )
        axis.set(
            xlabel="epoch", ylabel="training loss (nats)", title=f"{expansion.spec.id}, {group}"
        )
        axis.set_ylim(top=_top(part))
        axis.grid(alpha=0.3)
    axes[-1].legend(fontsize=8, frameon=False)
    runs = curves["run"].nunique()
    return Drawing(figure, f"{scale} scale, {runs} runs; lines are means over seeds, bands ranges")


def save(drawing: Drawing, path: Path) -> None:
    """Write the figure in the format of the path's ending, atomically; the same drawing gives the
    same bytes, so there is no date and no random id in them."""
    from matplotlib import rc_context

    form = path.suffix.lstrip(".")
    undated: dict[str, Any] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}
    buffer = BytesIO()
    with rc_context({"svg.hashsalt": "vaebench"}):
        drawing.figure.savefig(buffer, format=form, dpi=150, metadata=undated.get(form))
    write_bytes(path, buffer.getbuffer())


def _panel_images(
    panel: FigurePanel, expansion: Expansion, store: Store, figure: str, scale: str
) -> tuple[np.ndarray, int]:
    """The images of the panel's best run, and its seed."""
    name = (panel.row, panel.group)
    cells = [m for m in expansion.measurements if (m.key.row, m.key.group) == name]
    if not cells:
        raise UserError(
            f"{figure}: the panel {panel.title!r} needs the row {panel.row!r} of {panel.table}, "
            "which --only leaves out"
        )
    run = best_run(max(cells, key=lambda cell: len(cell.runs)), store)  # one over all seeds
    path = store.array(run.id, Evaluation(panel.evaluation, panel.parameters)) if run else None
    if run is None or path is None or not path.exists():
        option = "" if scale == "paper" else f" --scale {scale}"
        raise UserError(
            f"{figure}: the panel {panel.title!r} has no images yet; "
            f"`vaebench run {figure}{option}` makes them"
        )
    with np.load(path, allow_pickle=False) as arrays:
        return arrays["images"], run.seed


def _curves(expansion: Expansion, store: Store) -> pd.DataFrame:
    """One line an epoch of each finished run: row, group, run, epoch, loss."""
    frames = []
    seen: set[tuple[str, str, str]] = set()
    for measurement in expansion.measurements:
        for run in measurement.runs:
            record = store.record(run.id)
            place = (measurement.key.row, measurement.key.group, run.id)
            if record is None or place in seen or not record["history"]:
                continue
            seen.add(place)
            loss = record["history"]["loss"]
            frame = pd.DataFrame({"epoch": range(1, len(loss) + 1), "loss": loss})
            frames.append(frame.assign(row=place[0], group=place[1], run=run.id))
    return pd.concat(frames) if frames else pd.DataFrame()


def _top(curves: pd.DataFrame) -> float:
    """An upper limit that the first epochs may leave, so that the rest can be told apart."""
    last = float(curves[curves["epoch"] == curves["epoch"].max()]["loss"].max())
    low = float(curves["loss"].min())
    return last + 0.6 * (last - low) + 5.0


def _colors(rows: Sequence[str]) -> dict[str, Any]:
    from matplotlib import colormaps

    palette = colormaps["tab10"].colors if len(rows) <= 10 else colormaps["tab20"].colors  # type: ignore[attr-defined]
    return {row: palette[i % len(palette)] for i, row in enumerate(rows)}
