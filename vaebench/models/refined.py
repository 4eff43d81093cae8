"""A posterior that is refined for each datum: SA-VAE (Kim et al., ICML 2018)."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from vaebench.models.divergence import kl_divergence
from vaebench.models.latent import LatentModel
from vaebench.models.posteriors import GaussianDraws, GaussianPosterior


@dataclass(frozen=True)
class Refinement:
    """`steps` of gradient descent on mean and log variance, at `rate` with `momentum`; the gradient
    of either is shortened to the norm `clip` over the batch.

    What falls is the mean over a batch, so a step depends on its size: evaluation has batches of
    `batch`, the size in training. `replayed` says that the decoder draws noise of its own in
    training, such as dropout: a step does it from a seed, so that it can be done again.
    """

    steps: int
    rate: float
    momentum: float
    clip: float
    batch: int
    replayed: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.steps, int) or isinstance(self.steps, bool) or self.steps < 1:
            raise ValueError(f"refinements is {self.steps!r}; expected a number from 1")


class Parameters(NamedTuple):
    """Mean and log variance of posteriors, [B, K] both, or the gradients of these."""

    mean: Tensor
    log_variance: Tensor


class Step(NamedTuple):
    """A step of a refinement: where it began, its noise, by how much either gradient was shortened
    (0-dim), and the seed of what the decoder drew."""

    point: Parameters
    noise: Tensor
    scales: tuple[Tensor, Tensor]
    seed: int | None = None


class RefinedModel(LatentModel):
    """A latent model whose posterior, in evaluation, is refined from the encoder's."""

    def __init__(self, model: LatentModel, refinement: Refinement) -> None:
        super().__init__(model.encoder, model.head, model.prior, model.decoder)
        self.refinement = refinement
        self._given: GaussianPosterior | None = None

    def infer(self, x: Tensor) -> GaussianPosterior:
        """q(z|x), refined against the whole ELBO; within `given`, that posterior."""
        if self._given is not None:
            return self._given
        ends = [
            self.refine(part, self.amortised(part), torch.ones(()))[1]
            for part in torch.split(x, self.refinement.batch)
        ]
        mean, log_variance = (torch.cat(parts) for parts in zip(*ends, strict=True))
        return GaussianPosterior(mean, log_variance)

    @contextmanager
    def given(self, posterior: GaussianPosterior) -> Iterator[None]:
        """Let an objective see a posterior that is there already."""
        self._given = posterior
        try:
            yield
        finally:
            self._given = None

    def amortised(self, x: Tensor) -> Parameters:
        """What the encoder says."""
        posterior = super().infer(x)
        if not isinstance(posterior, GaussianPosterior):
            raise TypeError("a refinement needs Gaussian posteriors")
        return Parameters(posterior.mean, posterior.log_variance.expand_as(posterior.mean))

    def loss(self, x: Tensor, point: Parameters, noise: Tensor, weight: Tensor) -> Tensor:
        """Mean of -log p(x|z) + w KL over the batch, in nats, z by the given noise [B, K]."""
        posterior = GaussianPosterior(*point)
        z = (point.mean + torch.exp(0.5 * point.log_variance) * noise).unsqueeze(0)
        divergence = kl_divergence(posterior, self.prior, GaussianDraws(posterior, z))
        rec = -self.decoder.log_prob(x, z).mean()
        return rec if divergence is None else rec + weight.to(rec) * divergence.mean()

    def refine(self, x: Tensor, start: Parameters, weight: Tensor) -> tuple[list[Step], Parameters]:
        """Gradient descent from `start`, with fresh noise in every step: its steps and its end.

        No gradient leads from the end to `start`.
        """
        settings = self.refinement
        point = Parameters(*(value.detach() for value in start))
        momentum = Parameters(*(torch.zeros_like(value) for value in point))
        steps = []
        for _ in range(settings.steps):
            noise = torch.randn_like(point.mean)
            seed = None
            if settings.replayed and self.training:
                seed = int(torch.randint(2**62, ()))
            with torch.enable_grad(), seeded(seed, noise.device):
                leaves = Parameters(*(value.requires_grad_() for value in point))
                found = torch.autograd.grad(self.loss(x, leaves, noise, weight), leaves)
            scales = tuple(shortening(value, settings.clip) for value in found)
            point = Parameters(*(value.detach() for value in point))
            steps.append(Step(point, noise, (scales[0], scales[1]), seed))
            momentum = Parameters(
                *(
                    settings.momentum * m - scale * gradient
                    for m, scale, gradient in zip(momentum, scales, found, strict=True)
                )
            )
            point = Parameters(
                *(p + settings.rate * m for p, m in zip(point, momentum, strict=True))
            )
        return steps, point


@contextmanager
def seeded(seed: int | None, device: torch.device) -> Iterator[None]:
    """Within it the generators start from `seed`, after it they go on as if nothing had been drawn;
    with None nothing is done."""
    if seed is None:
        yield
        return
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def shortening(value: Tensor, longest: float) -> Tensor:
    """What a tensor is multiplied by to have the norm `longest` if it is longer, else 1; 0-dim."""
    scale: Tensor = (longest / value.norm().clamp_min(1e-12)).clamp(max=1.0)
    return scale
