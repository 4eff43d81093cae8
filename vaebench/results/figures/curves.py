"""Learning curves of a table."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from vaebench.errors import UserError
from vaebench.registry.expansion import Expansion
from vaebench.results.figures.drawing import Drawing
from vaebench.store.store import Store


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
