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
    per_dimension = mean.square() + (log_variance.exp() - 1 - log_variance)
    return 0.5 * per_dimension.sum(-1)


def log_density(z: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """log N(z; mean, diag exp(log_variance)) in nats: [..., K] -> [...]."""
    log_variance = log_variance.expand_as(mean)
    squares = (z - mean).square() * torch.exp(-log_variance)
    return -0.5 * (squares + log_variance + LOG_2PI).sum(-1)


def standard_log_density(z: Tensor) -> Tensor:
    """log N(z; 0, I) in nats: [..., K] -> [...]."""
    return -0.5 * (z.square().sum(-1) + z.shape[-1] * LOG_2PI)
