"""KLs between all ordered pairs of N diagonal Gaussians, by matrix products where that can be.

Shapes: means and log variances [N, K]. Means are centred first: a KL does not change by that, and
differences of large numbers lose digits.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

_TERMS = 2**20  # KLs of a pair and a dimension that are in memory at a time, where there are more


def kl_matrix(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N_i || N_j) in nats, [N, N]; zero on the diagonal up to rounding."""
    mean = mean - mean.mean(0)
    variance, precision = log_variance.exp(), torch.exp(-log_variance)
    scaled = mean * precision
    products = (variance + mean.square()) @ precision.t() - 2 * mean @ scaled.t()
    volumes = log_variance.sum(1)
    columns = (mean * scaled).sum(1) + volumes
    return 0.5 * (products + columns - volumes.unsqueeze(1) - mean.shape[1])


def mean_kl_by_dimension(mean: Tensor, log_variance: Tensor) -> Tensor:
    """What each dimension adds to the mean KL over the ordered pairs i != j, in nats, [K].

    The log variances cancel, and what is left is a product of sums over i and over j.
    """
    size = len(mean)
    mean = mean - mean.mean(0)
    variance, precision = log_variance.exp(), torch.exp(-log_variance)
    # The centred means sum to zero, so that their cross term is gone.
    spread = (variance + mean.square()).sum(0) * precision.sum(0)
    total = spread + size * (mean.square() * precision).sum(0) - size * size
    return 0.5 * total / (size * (size - 1))


def mean_softplus_by_dimension(mean: Tensor, log_variance: Tensor) -> Tensor:
    """The mean over the ordered pairs i != j of softplus(-KL) of every dimension, [K].

    It is not a product of sums: some rows of pairs [rows, N, K] at a time, which are computed again
    for the gradient.
    """
    size = len(mean)
    rows = max(1, _TERMS // mean.numel())
    total = torch.zeros_like(mean[0])
    for some in zip(torch.split(mean, rows), torch.split(log_variance, rows), strict=True):
        total = total + checkpoint(
            _softplus_sum, *some, mean, log_variance, use_reentrant=False, preserve_rng_state=False
        )
    # The KL of a Gaussian to itself is exactly 0.
    return (total - size * math.log(2)) / (size * (size - 1))


def _softplus_sum(
    mean: Tensor, log_variance: Tensor, means: Tensor, log_variances: Tensor
) -> Tensor:
    """The sum of softplus(-KL) over all pairs of one of [n, K] and one of [N, K], [K]."""
    ratios = log_variance.unsqueeze(1) - log_variances
    squares = (mean.unsqueeze(1) - means).square() * torch.exp(-log_variances)
    return F.softplus(-0.5 * (ratios.expm1() - ratios + squares)).sum((0, 1))


def off_diagonal_std(matrix: Tensor) -> Tensor:
    """The unbiased standard deviation of the N (N - 1) entries off the diagonal; without gradient
    where it is 0, as torch.std has it."""
    count = matrix.numel() - len(matrix)
    off = matrix - torch.diag(matrix.diagonal())
    mean = off.sum() / count
    squares = (off - mean).square()
    variance = (squares.sum() - squares.diagonal().sum()) / (count - 1)
    constant = variance == 0
    return torch.where(constant, 1.0, variance).sqrt() * ~constant
