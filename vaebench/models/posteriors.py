"""Posteriors q(z|x) and the heads that make them from encoder features.

Shapes: B batch, S samples, K latent size, H features. A head maps h [B, H] to a posterior.
"""

from typing import Protocol

import torch
from torch import Tensor, nn

from vaebench.estimators import gaussian


class Posterior(Protocol):
    """What objectives and evaluators ask of q(z|x)."""

    @property
    def mean(self) -> Tensor:
        """[B, K]."""
        ...

    def rsample(self, samples: int) -> Tensor:
        """Reparameterised draws [S, B, K]."""
        ...


class Density(Posterior, Protocol):
    """A posterior with a density; a delta posterior has none."""

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z|x) in nats: [S, B, K] -> [S, B]."""
        ...


class GaussianPosterior:
    """N(mean, diag exp(log_variance)); `log_variance` is [B, K], or [B, 1] when isotropic."""

    def __init__(self, mean: Tensor, log_variance: Tensor) -> None:
        self.mean = mean
        self.log_variance = log_variance

    @property
    def variance(self) -> Tensor:
        """[B, K]."""
        return self.log_variance.exp().expand_as(self.mean)

    def rsample(self, samples: int) -> Tensor:
        """mean + std * noise with independent noise in every dimension: [S, B, K]."""
        noise = torch.randn(samples, *self.mean.shape, device=self.mean.device)
        return self.mean + torch.exp(0.5 * self.log_variance) * noise

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z|x) in nats: [S, B, K] -> [S, B]."""
        return gaussian.log_density(z, self.mean, self.log_variance)


class DeltaPosterior:
    """All mass at the mean: a deterministic encoder. It has no density and no KL."""

    def __init__(self, mean: Tensor) -> None:
        self.mean = mean

    def rsample(self, samples: int) -> Tensor:
        """The mean, repeated: [S, B, K]."""
        return self.mean.expand(samples, *self.mean.shape)


class GaussianHead(nn.Module):
    """Two linear maps to mean and log variance.

    `isotropic` gives one variance a datum, shared by all dimensions (IGP, Section 3).
    """

    def __init__(self, features: int, latent: int, *, isotropic: bool) -> None:
        super().__init__()
        self.mean = nn.Linear(features, latent)
        self.log_variance = nn.Linear(features, 1 if isotropic else latent)

    def forward(self, h: Tensor) -> GaussianPosterior:
        return GaussianPosterior(self.mean(h), self.log_variance(h))


class GlobalGaussianHead(nn.Module):
    """A linear map to the mean and one variance for all dimensions and data (AR-ELBO, Eq. 4).

    `log_variance` (natural logarithm) is where it starts if it is trainable, else what it is.
    """

    def __init__(self, features: int, latent: int, *, log_variance: float, trainable: bool) -> None:
        super().__init__()
        self.mean = nn.Linear(features, latent)
        self.log_variance: Tensor
        if trainable:
            self.log_variance = nn.Parameter(torch.tensor([log_variance]))
        else:
            self.register_buffer("log_variance", torch.tensor([log_variance]))

    def forward(self, h: Tensor) -> GaussianPosterior:
        return GaussianPosterior(self.mean(h), self.log_variance.expand(len(h), 1))


class DeterministicHead(nn.Module):
    """One linear map to the code of an autoencoder."""

    def __init__(self, features: int, latent: int) -> None:
        super().__init__()
        self.mean = nn.Linear(features, latent)

    def forward(self, h: Tensor) -> DeltaPosterior:
        return DeltaPosterior(self.mean(h))
