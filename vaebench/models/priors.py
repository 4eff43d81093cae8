"""Priors p(z)."""

import math

import torch
from torch import Tensor, nn

from vaebench.estimators import gaussian
from vaebench.models.initialisation import truncated_normal


class StandardGaussian(nn.Module):
    """N(0, I) in K dimensions."""

    def __init__(self, latent: int) -> None:
        super().__init__()
        self.latent = latent

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) in nats: [..., K] -> [...]."""
        return gaussian.standard_log_density(z)

    def log_prob_by_dimension(self, z: Tensor) -> Tensor:
        """Its summands, [..., K]."""
        return gaussian.standard_log_density_by_dimension(z)

    def sample(self, count: int, device: torch.device) -> Tensor:
        """Draws [count, K]."""
        return torch.randn(count, self.latent, device=device)


class MixturePrior(nn.Module):
    """An equal mixture of Gaussians whose means and log variances are trained (MoG and MoIG: IGP,
    Supplement C).

    `isotropic` components have one variance each, others one a dimension. They begin as Keras'
    Glorot normal, as in the official code.
    """

    def __init__(self, latent: int, components: int, *, isotropic: bool) -> None:
        super().__init__()
        self.latent = latent
        self.means = _glorot_normal(components, latent)
        self.log_variances = _glorot_normal(components, 1 if isotropic else latent)

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) in nats: [..., K] -> [...]."""
        by_component = gaussian.log_density(z.unsqueeze(-2), self.means, self.log_variances)
        return by_component.logsumexp(-1) - math.log(len(self.means))

    def log_prob_by_dimension(self, z: Tensor) -> Tensor:
        """TypeError: the dimensions of a mixture depend on one another."""
        raise TypeError("the density of a mixture is no product over dimensions")

    def sample(self, count: int, device: torch.device) -> Tensor:
        """Draws [count, K]."""
        drawn = torch.randint(len(self.means), (count,), device=device)
        noise = torch.randn(count, self.latent, device=device)
        return self.means[drawn] + torch.exp(0.5 * self.log_variances[drawn]) * noise


def _glorot_normal(components: int, size: int) -> nn.Parameter:
    values = torch.empty(components, size)
    return nn.Parameter(truncated_normal(values, math.sqrt(2 / (size + components))))
