"""What is measured after every epoch, to keep the best one or to lower the learning rate."""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

from vaebench.data.loading import Dataset, Split
from vaebench.errors import UserError
from vaebench.registry.runs import Training
from vaebench.training.recipe import Examples, Recipe

# A function of the model, in evaluation mode, and of the number of steps done.
Monitor = Callable[[Any, int], float]


def make_monitor(recipe: Recipe, training: Training, data: Dataset) -> Monitor | None:
    """The monitor that `training` asks for; None if it asks for none.

    The validation loss is the objective's own, in batches of the training size: objectives with a
    logarithm of a batch mean depend on it.
    """
    if training.monitor is None:
        return None
    if training.monitor == "test-squared-error":
        return _squared_error(data.test, training.batch_size)
    if data.validation is None:
        raise UserError(
            f"training.monitor: {data.info.name} has no validation split in this view; "
            "say how many training images it is made of: data.held_out"
        )
    return _validation_loss(recipe, data.validation, training.batch_size)


def _validation_loss(recipe: Recipe, split: Split, batch_size: int) -> Monitor:
    @cache  # made when the model is on its device
    def examples() -> Examples:
        return recipe.examples(split)

    @torch.no_grad()
    def validation_loss(model: Any, step: int) -> float:
        total = 0.0
        for index in _batches(split, batch_size):
            loss = recipe.objective(model, examples().take(index), step)["loss"]
            total += float(loss) * len(index)
        return total / len(split)

    return validation_loss


def _squared_error(split: Split, batch_size: int) -> Monitor:
    """Mean over the split of the squared error of what is decoded from the posterior mean."""

    @torch.no_grad()
    def squared_error(model: Any, step: int) -> float:
        total = 0.0
        for index in _batches(split, batch_size):
            x = split.take(index).x
            total += float((model.decoder.mean(model.infer(x).mean) - x).square().sum())
        return total / len(split)

    return squared_error


def _batches(split: Split, batch_size: int) -> tuple[Tensor, ...]:
    order = torch.arange(len(split), device=split.labels.device)
    return torch.split(order, batch_size)
