"""Decoders: p(x|z)."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vaebench.estimators import bernoulli
from vaebench.models.encoders import tanh_layers


class BernoulliMlpDecoder(nn.Module):
    """Tanh layers to Bernoulli logits; real x in [0, 1] is scored by the same cross-entropy."""

    def __init__(self, latent: int, hidden: Sequence[int], shape: Sequence[int]) -> None:
        super().__init__()
        self.shape = tuple(shape)
        self.layers = tanh_layers(latent, hidden)
        self.output = nn.Linear(hidden[-1], math.prod(shape))

    @property
    def constant_variance(self) -> None:
        """A Bernoulli has no variance of its own."""

    def logits(self, z: Tensor) -> Tensor:
        """[..., K] -> [..., pixels]; all leading axes go through as one batch."""
        flat: Tensor = self.output(self.layers(z.flatten(0, -2)))
        return torch.unflatten(flat, 0, z.shape[:-1])

    def log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z) in nats, summed over pixels: x [B, *shape], z [S, B, K] -> [S, B]."""
        h = torch.unflatten(self.layers(z.flatten(0, -2)), 0, z.shape[:-1])
        output = self.output
        return bernoulli.linear_log_likelihood(h, output.weight, output.bias, x.flatten(1))

    def mean(self, z: Tensor) -> Tensor:
        """E[x|z], the pixel probabilities: [..., K] -> [..., *shape]."""
        return torch.unflatten(torch.sigmoid(self.logits(z)), -1, self.shape)

    def sample(self, z: Tensor) -> Tensor:
        """Binary images drawn from p(x|z): [..., K] -> [..., *shape]."""
        return torch.bernoulli(self.mean(z))
