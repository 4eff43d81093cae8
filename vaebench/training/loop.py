"""The training loop: one for every model, read from top to bottom."""

import math
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from vaebench.data.dataset import Dataset
from vaebench.objectives.clock import Clock
from vaebench.registry.runs import Training
from vaebench.training import checkpoints
from vaebench.training.averaging import Average
from vaebench.training.examples import Examples
from vaebench.training.monitors import Monitor
from vaebench.training.procedures import Setting
from vaebench.training.recipe import Recipe
from vaebench.training.schedules import Course, course

Epoch = dict[str, float]


@dataclass(frozen=True)
class Trained:
    """`history` has one mapping an epoch: the mean of every term over the data, in nats, and what
    was monitored.

    `diverged` says where the loss left the finite numbers: a result of the method, not a failure
    of the program. The history ends before that epoch. `stopped` says the same of a run that keeps
    its best epoch and had one.
    """

    history: list[Epoch]
    seconds: float
    diverged: str | None = None
    stopped: str | None = None


@dataclass
class _Progress:
    """What a checkpoint holds beside the states of model, average, optimiser and generators."""

    history: list[Epoch]
    seconds: float = 0.0
    best: dict[str, Tensor] | None = None  # weights of the epoch with the lowest monitored value


def train(
    recipe: Recipe,
    data: Dataset,
    training: Training,
    *,
    seed: int,
    device: torch.device,
    checkpoint: Path,
    monitor: Monitor | None = None,
    report: Callable[[int, Epoch], None] = lambda epoch, terms: None,
) -> Trained:
    """Train to the last epoch, from `checkpoint` if it exists; it is written after every epoch.

    Where weights are averaged, the average is what is monitored, kept and left in the model.
    Whoever calls has seeded the global generator and built the recipe after that.
    """
    model, procedure = recipe.model.to(device), recipe.procedure
    examples = recipe.examples(data.train)
    validation = None if data.validation is None else recipe.examples(data.validation)
    setting = Setting(model, training, examples, validation)
    procedure.prepare(setting)
    progress = _Progress([])
    state = checkpoints.load_state(checkpoint) if checkpoint.exists() else None
    if state is None and recipe.start is not None:
        recipe.start(model, examples, device)
    average = None if training.average is None else Average(model, training.average)
    if state is not None:
        model.load_state_dict(state["model"])
        if average is not None:
            average.load_state_dict(state["average"])
        procedure.load_state_dict(state["procedure"])
        checkpoints.restore_random_state(state["random"], device)
        progress = _Progress(state["history"], state["seconds"], state["best"])
    history = progress.history
    started = time.perf_counter() - progress.seconds

    for epoch in range(len(history) + 1, training.epochs + 1):
        monitored = [done["monitored"] for done in history] if monitor else []
        batches = setting.batching.epoch(seed, epoch)
        now = course(training.schedule, len(history), monitored, len(batches))
        if now.over:
            break
        if now.reload and progress.best is not None:
            model.load_state_dict(progress.best)
            procedure.restart()
        if now.renew:
            procedure.restart()
        procedure.scale_rate(now.factor)
        model.train()
        means = _epoch(recipe, examples, batches, epoch, training.batch_size, now, average)
        model.eval()
        means.update(procedure.epoch_done())
        best, lowest = progress.best, min(monitored, default=math.inf)
        with nullcontext() if average is None else average.shown():
            if monitor is not None and math.isfinite(means["loss"]):
                clock = Clock.at(epoch * len(batches), training.batch_size, len(examples))
                means["monitored"] = monitor(model, clock)
            if training.keep == "best" and means.get("monitored", math.inf) < lowest:
                best = {key: value.detach().clone() for key, value in model.state_dict().items()}
        progress.seconds = time.perf_counter() - started
        report(epoch, means)
        if not all(math.isfinite(means[name]) for name in ("loss", "monitored") if name in means):
            return _broken_off(model, progress, f"the loss is {means['loss']} in epoch {epoch}")
        progress.best = best
        history.append(means)
        checkpoints.save_state(
            {
                "model": model.state_dict(),
                "procedure": procedure.state_dict(),
                "random": checkpoints.random_state(device),
                "history": history,
                "seconds": progress.seconds,
                "best": progress.best,
                **({} if average is None else {"average": average.state_dict()}),
            },
            checkpoint,
        )
    model.eval()
    if average is not None:
        average.put()
    if progress.best is not None:
        model.load_state_dict(progress.best)
    elif not all(bool(value.isfinite().all()) for value in model.state_dict().values()):
        reason = "the last steps left weights that are not finite"
        return Trained(history, progress.seconds, diverged=reason)
    return Trained(history, progress.seconds)


def _epoch(
    recipe: Recipe,
    examples: Examples,
    batches: Sequence[Tensor],
    epoch: int,
    batch_size: int,
    now: Course,
    average: Average | None,
) -> Epoch:
    """One pass over the examples: the mean of every term."""
    before = (epoch - 1) * len(batches)
    sums: dict[str, Tensor] = {}
    for done, index in enumerate(batches):
        if now.step_factor != 1:  # a number on the host, so that no device is waited for
            recipe.procedure.scale_rate(now.factor * now.step_factor**done)
        batch = examples.take(index)
        clock = Clock.at(before + done + 1, batch_size, len(examples))
        terms = recipe.procedure.step(recipe.objective, batch, clock)
        if average is not None:
            average.update()
        for name, value in terms.items():  # summed on the device: reading one would wait for it
            weighted = value.detach() * len(index)
            sums[name] = sums[name] + weighted if name in sums else weighted
    seen = sum(len(index) for index in batches)
    return {name: float(total) / seen for name, total in sums.items()}


def _broken_off(model: nn.Module, progress: _Progress, reason: str) -> Trained:
    """The end of a run whose loss is not finite: with its best epoch if it keeps one."""
    if progress.best is None:
        return Trained(progress.history, progress.seconds, diverged=reason)
    model.load_state_dict(progress.best)
    stopped = f"{reason}; the best epoch before is kept"
    return Trained(progress.history, progress.seconds, stopped=stopped)
