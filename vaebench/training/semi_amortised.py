"""Semi-amortised training: SA-VAE (Kim et al., ICML 2018, Algorithm 1)."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from vaebench.data.dataset import Batch
from vaebench.models.posteriors import GaussianPosterior
from vaebench.models.recurrence import twice_differentiable
from vaebench.models.refined import Parameters, RefinedModel, Step, seeded, shortening
from vaebench.objectives.clock import Clock
from vaebench.training.procedures import Joint, Objective, Setting, Terms, update


class SemiAmortised(Joint):
    """The decoder is trained at the refined posterior, the encoder through the refinement to it.

    The gradient goes back through every step of the refinement by an exact product with its
    Hessian, where the official code takes finite differences, which are mostly rounding in float32.
    The factor by which a gradient was shortened counts as a constant. What goes back, and what the
    products add to the decoder, are shortened to the norm of the refinement, as there.

    `weight` is that of the KL while it refines.
    """

    def __init__(self, weight: Callable[[Clock], Tensor]) -> None:
        super().__init__()
        self._weight = weight

    def prepare(self, setting: Setting) -> None:
        if not isinstance(setting.model, RefinedModel):
            raise TypeError("semi-amortised training needs a RefinedModel")
        super().prepare(setting)

    def step(self, objective: Objective, batch: Batch, clock: Clock) -> Terms:
        model: Any = self.setting.model
        weight = self._weight(clock)
        start = model.amortised(batch.x)
        steps, found = model.refine(batch.x, start, weight)
        end = Parameters(*(value.requires_grad_() for value in found))
        with model.given(GaussianPosterior(*end)):
            terms = objective(model, batch, clock)
        self.optimizer.zero_grad(set_to_none=True)
        terms["loss"].backward()  # type: ignore[no-untyped-call]
        to_end = Parameters(*(_gradient_of(value) for value in end))
        to_start = go_back(model, batch.x, steps, to_end, weight)
        torch.autograd.backward(list(start), list(to_start))
        update(self.setting, self.optimizer)
        return terms


def go_back(
    model: RefinedModel, x: Tensor, steps: list[Step], to_end: Parameters, weight: Tensor
) -> Parameters:
    """The gradient at the start of a refinement from that at its end; what the steps owe to the
    generative parameters is added to their gradients."""
    settings = model.refinement
    generative = [p for p in model.generative_parameters() if p.requires_grad]
    to_point = _shortened(to_end, settings.clip)
    to_momentum = Parameters(*(torch.zeros_like(value) for value in to_point))
    for step in reversed(steps):
        to_momentum = Parameters(
            *(m + settings.rate * p for m, p in zip(to_momentum, to_point, strict=True))
        )
        # The step took the gradient away from the momentum.
        vector = [-scale * m for scale, m in zip(step.scales, to_momentum, strict=True)]
        latent, products = _hessian_products(model, x, step, weight, vector, generative)
        to_point = _shortened(
            Parameters(*(p + h for p, h in zip(to_point, latent, strict=True))), settings.clip
        )
        norms = [value.norm() for value in products]
        scale = shortening(torch.stack(norms), settings.clip) if norms else 1.0
        for parameter, value in zip(generative, products, strict=True):
            added = scale * value
            parameter.grad = added if parameter.grad is None else parameter.grad + added
        to_momentum = Parameters(*(settings.momentum * m for m in to_momentum))
    return to_point


def _hessian_products(
    model: RefinedModel,
    x: Tensor,
    step: Step,
    weight: Tensor,
    vector: list[Tensor],
    generative: list[nn.Parameter],
) -> tuple[Parameters, list[Tensor]]:
    """Products of a vector with the second derivatives of the loss of a step, by its latent
    parameters twice, and by these and the generative ones."""
    leaves = Parameters(*(value.detach().requires_grad_() for value in step.point))
    with seeded(step.seed, x.device), twice_differentiable():
        loss = model.loss(x, leaves, step.noise, weight)
    first = torch.autograd.grad(loss, leaves, create_graph=True)
    found = torch.autograd.grad(
        first, [*leaves, *generative], grad_outputs=vector, allow_unused=True
    )
    filled = [
        torch.zeros_like(value) if product is None else product
        for product, value in zip(found, [*leaves, *generative], strict=True)
    ]
    return Parameters(*filled[:2]), filled[2:]


def _shortened(values: Parameters, longest: float) -> Parameters:
    scale = shortening(torch.stack([value.norm() for value in values]), longest)
    return Parameters(*(scale * value for value in values))


def _gradient_of(value: Tensor) -> Tensor:
    return torch.zeros_like(value) if value.grad is None else value.grad
