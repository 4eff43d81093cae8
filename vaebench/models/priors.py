"""Priors p(z)."""

import torch
from torch import Tensor, nn

from vaebench.estimators import gaussian


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
