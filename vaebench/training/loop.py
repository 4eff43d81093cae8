"""The training loop: one for every model, read from top to bottom."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from vaebench.data.loading import Split
from vaebench.registry.runs import Training
from vaebench.training import checkpoints
from vaebench.training.recipe import Recipe

Epoch = dict[str, float]


@dataclass(frozen=True)
class Trained:
    """`history` has one mapping an epoch: the mean of every term over the data, in nats.

    `diverged` says where the loss left the finite numbers: a result of the method, not a failure
    of the program. The history ends before that epoch.
    """

    history: list[Epoch]
    seconds: float
    diverged: str | None = None


def train(
    recipe: Recipe,
    data: Split,
    training: Training,
    *,
    seed: int,
    device: torch.device,
    checkpoint: Path,
    report: Callable[[int, Epoch], None] = lambda epoch, terms: None,
) -> Trained:
    """Train to the last epoch, from `checkpoint` if it exists; it is written after every epoch.

    Whoever calls has seeded the global generator and built the recipe after that.
    """
    model = recipe.model.to(device).train()
    recipe.procedure.prepare(model, training.optimizer)
    history: list[Epoch] = []
    seconds = 0.0
    if checkpoint.exists():
        state = checkpoints.load(checkpoint)
        model.load_state_dict(state["model"])
        recipe.procedure.load_state_dict(state["procedure"])
        checkpoints.restore_random_state(state["random"], device)
        history, seconds = state["history"], state["seconds"]
    steps_per_epoch = math.ceil(len(data) / training.batch_size)
    started = time.perf_counter() - seconds

    for epoch in range(len(history) + 1, training.epochs + 1):
        order = epoch_order(len(data), seed, epoch).to(device)
        step = (epoch - 1) * steps_per_epoch
        sums: dict[str, Tensor] = {}
        for index in torch.split(order, training.batch_size):
            step += 1
            batch = data.take(index)
            terms = recipe.procedure.step(model, recipe.objective, batch, step)
            for name, value in terms.items():  # summed on the device: reading one would wait for it
                weighted = value.detach() * len(index)
                sums[name] = sums[name] + weighted if name in sums else weighted
        means = {name: float(total) / len(data) for name, total in sums.items()}
        seconds = time.perf_counter() - started
        report(epoch, means)
        if not math.isfinite(means["loss"]):
            return Trained(history, seconds, f"the loss is {means['loss']} in epoch {epoch}")
        history.append(means)
        checkpoints.save(
            {
                "model": model.state_dict(),
                "procedure": recipe.procedure.state_dict(),
                "random": checkpoints.random_state(device),
                "history": history,
                "seconds": seconds,
            },
            checkpoint,
        )
    model.eval()
    if not all(bool(value.isfinite().all()) for value in model.state_dict().values()):
        return Trained(history, seconds, "the last steps left weights that are not finite")
    return Trained(history, seconds)


def epoch_order(size: int, seed: int, epoch: int) -> Tensor:
    """The order of the data in an epoch: a function of seed and epoch, so it needs no memory."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    return torch.randperm(size, generator=generator)
