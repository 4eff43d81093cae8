"""Autoregressive priors: N(0, I) behind flows that are parallel in the direction of the density
(Chen et al., 2017), as MAE has them.

Shapes: N draws, K latent size.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from vaebench.estimators import gaussian


class Flow(Protocol):
    """One of the flows, on codes of a shape, [N, *shape]."""

    def __call__(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """eps and the logarithms of its slopes, at once."""
        ...

    def inverse(self, noise: Tensor) -> Tensor:
        """z of eps, step by step."""
        ...


class FlowPrior(nn.Module):
    """The z whose eps is N(0, I), by flows that reverse the order of steps one after another.

    A flow sees flat codes as `shape`, and its steps go along the dimensions `steps` of that.
    """

    def __init__(
        self, shape: Sequence[int], steps: Sequence[int], flows: Iterable[nn.Module]
    ) -> None:
        super().__init__()
        self.shape, self.steps, self.latent = tuple(shape), tuple(steps), math.prod(shape)
        self.flows = nn.ModuleList(flows)

    def to_noise(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """eps [..., K] and log|det d eps / d z| [...] of z [..., K]."""
        h = z.reshape(-1, *self.shape)
        log_det = h.new_zeros(len(h))
        for flow in self.flows:
            h, log_slopes = flow(h.flip(self.steps))
            log_det = log_det + log_slopes.flatten(1).sum(1)
        return h.reshape(z.shape), log_det.view(z.shape[:-1])

    @torch.no_grad()
    def from_noise(self, noise: Tensor) -> Tensor:
        """z [N, K] of eps [N, K]."""
        h = noise.view(-1, *self.shape)
        for flow in reversed(self.flows):
            h = cast(Flow, flow).inverse(h).flip(self.steps)
        return h.reshape(noise.shape)

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) in nats: [..., K] -> [...]."""
        noise, log_det = self.to_noise(z)
        return gaussian.standard_log_density(noise) + log_det

    def log_prob_by_dimension(self, z: Tensor) -> Tensor:
        """TypeError: the dimensions depend on one another."""
        raise TypeError("the density of an autoregressive prior is no product over dimensions")

    def sample(self, count: int, device: torch.device) -> Tensor:
        """Draws [count, K]."""
        noise = torch.randn(count, self.latent, device=device)
        return self.from_noise(noise.to(next(self.parameters()).dtype))
