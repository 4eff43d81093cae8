"""Gaussian densities and divergences, in nats."""

import math

import torch
from torch import Tensor

LOG_2PI = math.log(2 * math.pi)


def kl_to_standard(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, diag exp(log_variance)) || N(0, I)) in nats: [..., K] -> [...].

    `log_variance` may be [..., 1] for an isotropic Gaussian. IGP, Section 2; Kingma & Welling
    (2014), Appendix B.
    """
    return 0.5 * _twice_kl(mean, log_variance).sum(-1)


def kl_to_standard_by_dimension(mean: Tensor, log_variance: Tensor) -> Tensor:
    """The summands of `kl_to_standard`, [..., K]."""
    return 0.5 * _twice_kl(mean, log_variance)


def _twice_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    return mean.square() + (log_variance.exp() - 1 - log_variance)


def log_density(z: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """log N(z; mean, diag exp(log_variance)) in nats: [..., K] -> [...]."""
    return -0.5 * _minus_twice_log_density(z, mean, log_variance).sum(-1)


def log_density_by_dimension(z: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """The summands of `log_density`, [..., K]."""
    return -0.5 * _minus_twice_log_density(z, mean, log_variance)


def _minus_twice_log_density(z: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    log_variance = log_variance.expand_as(mean)
    squares = (z - mean).square() * torch.exp(-log_variance)
    return squares + log_variance + LOG_2PI


def standard_log_density(z: Tensor) -> Tensor:
    """log N(z; 0, I) in nats: [..., K] -> [...]."""
    return -0.5 * (z.square().sum(-1) + z.shape[-1] * LOG_2PI)


def standard_log_density_by_dimension(z: Tensor) -> Tensor:
    """The summands of `standard_log_density`, [..., K]."""
    return -0.5 * (z.square() + LOG_2PI)
