"""Posteriors q(z|x). Shapes: B batch, S samples, K latent size."""

from typing import Protocol

import torch
from torch import Tensor

from vaebench.estimators import gaussian


class Draws(Protocol):
    """Draws from q(z|x) and their density, which is worked out only when it is asked for.

    A flow knows the density of what it has drawn, and not cheaply that of any other z.
    """

    @property
    def z(self) -> Tensor:
        """Reparameterised, [S, B, K]."""
        ...

    def log_prob(self) -> Tensor:
        """log q(z|x) in nats, [S, B]; TypeError where there is no density."""
        ...

    def log_prob_by_dimension(self) -> Tensor:
        """Its summands, [S, B, K]."""
        ...


class Posterior(Protocol):
    """What objectives and evaluators ask of q(z|x)."""

    @property
    def mean(self) -> Tensor:
        """[B, K]."""
        ...

    @property
    def features(self) -> Tensor:
        """What a classifier of codes sees, [B, F]."""
        ...

    def draw(self, samples: int) -> Draws:
        """Reparameterised draws z [S, B, K]."""
        ...

    def rsample(self, samples: int) -> Tensor:
        """The z of `draw`."""
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

    @property
    def features(self) -> Tensor:
        """The mean, [B, K]."""
        return self.mean

    def draw(self, samples: int) -> "GaussianDraws":
        """mean + std * noise with independent noise in every dimension."""
        noise = torch.randn(samples, *self.mean.shape, device=self.mean.device)
        return GaussianDraws(self, self.mean + torch.exp(0.5 * self.log_variance) * noise)

    def rsample(self, samples: int) -> Tensor:
        """The z of `draw`, [S, B, K]."""
        return self.draw(samples).z

    def log_prob(self, z: Tensor) -> Tensor:
        """log q(z|x) in nats: [S, B, K] -> [S, B]."""
        return gaussian.log_density(z, self.mean, self.log_variance)


class GaussianDraws:
    """Any z [S, B, K] under a Gaussian posterior."""

    def __init__(self, posterior: GaussianPosterior, z: Tensor) -> None:
        self.posterior = posterior
        self.z = z

    def log_prob(self) -> Tensor:
        """log q(z|x) in nats, [S, B]."""
        return self.posterior.log_prob(self.z)

    def log_prob_by_dimension(self) -> Tensor:
        """Its summands, [S, B, K]."""
        mean, log_variance = self.posterior.mean, self.posterior.log_variance
        return gaussian.log_density_by_dimension(self.z, mean, log_variance)


class DeltaPosterior:
    """All mass at the mean: a deterministic encoder. It has no density and no KL."""

    def __init__(self, mean: Tensor) -> None:
        self.mean = mean

    @property
    def features(self) -> Tensor:
        """The mean, [B, K]."""
        return self.mean

    def draw(self, samples: int) -> "DeltaDraws":
        """The mean, repeated."""
        return DeltaDraws(self.mean.expand(samples, *self.mean.shape))

    def rsample(self, samples: int) -> Tensor:
        """The z of `draw`, [S, B, K]."""
        return self.draw(samples).z


class DeltaDraws:
    """z [S, B, K] without a density."""

    def __init__(self, z: Tensor) -> None:
        self.z = z

    def log_prob(self) -> Tensor:
        """TypeError."""
        raise TypeError("a delta posterior has no density")

    log_prob_by_dimension = log_prob
