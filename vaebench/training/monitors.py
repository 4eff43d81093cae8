"""What is measured after every epoch, to keep the best one or to lower the learning rate."""

from collections.abc import Callable
from functools import cache
from typing import Any

import torch

from vaebench.data.dataset import Batch, Dataset, Split
from vaebench.errors import UserError
from vaebench.models.latent import LatentModel
from vaebench.objectives.clock import Clock
from vaebench.objectives.elbo import elbo_terms
from vaebench.registry.runs import Training
from vaebench.training.batching import Batching
from vaebench.training.examples import Examples
from vaebench.training.procedures import Objective, Terms
from vaebench.training.recipe import Recipe

# A function of the model, in evaluation mode, and of the time.
Monitor = Callable[[Any, Clock], float]


def make_monitor(recipe: Recipe, training: Training, data: Dataset) -> Monitor | None:
    """The monitor that `training` asks for; None if it asks for none.

    The validation loss is the objective's own, in batches of the training size: objectives with a
    logarithm of a batch mean depend on it.
    """
    if training.monitor is None:
        return None
    if training.monitor == "test-squared-error":
        return _squared_error(data.test, training)
    if data.validation is None:
        raise UserError(
            f"training.monitor: {data.info.name} has no validation split in this view; "
            "say how many training images it is made of: data.held_out"
        )
    whole = training.monitor == "validation-negative-elbo"
    objective = _negative_elbo(training.monitor_draws or 1) if whole else recipe.objective
    return _validation(objective, recipe, data.validation, training)


def _negative_elbo(draws: int) -> Objective:
    def negative_elbo(model: LatentModel, batch: Batch, clock: Clock) -> Terms:
        return elbo_terms(model, model.infer(batch.x), batch.x, draws)

    return negative_elbo


def _validation(objective: Objective, recipe: Recipe, split: Split, training: Training) -> Monitor:
    """The mean of an objective's loss over the validation split."""
    batches = Batching(split, training, split.labels.device).everything()

    @cache  # made when the model is on its device
    def examples() -> Examples:
        return recipe.examples(split)

    @torch.no_grad()
    def validation_loss(model: Any, clock: Clock) -> float:
        total = torch.zeros((), dtype=torch.float64, device=split.labels.device)
        for index in batches:
            total += objective(model, examples().take(index), clock)["loss"].double() * len(index)
        return float(total) / len(split)

    return validation_loss


def _squared_error(split: Split, training: Training) -> Monitor:
    """Mean over the split of the squared error of what is decoded from the posterior mean."""
    batches = Batching(split, training, split.labels.device).everything()

    @torch.no_grad()
    def squared_error(model: Any, clock: Clock) -> float:
        total = 0.0
        for index in batches:
            x = split.take(index).x
            total += float((model.decoder.mean(model.infer(x).mean) - x).square().sum())
        return total / len(split)

    return squared_error
