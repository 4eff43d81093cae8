"""KLs between all ordered pairs of N diagonal Gaussians, by matrix products where that can be.

Shapes: means and log variances [N, K]. Means are centred where they are multiplied: a KL does not
change by that, and differences of large numbers lose digits.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

_TERMS = 2**20  # KLs of a pair and a dimension that are in memory at a time, where there are more


class Gaussians(NamedTuple):
    """What several quantities of their pairs share, [N, K] each: means about their common mean,
    `scaled_mean`, which is these times the precisions, and `square`, the expected squares."""

    mean: Tensor
    scaled_mean: Tensor
    square: Tensor
    precision: Tensor
    log_variance: Tensor

    @classmethod
    def of(cls, mean: Tensor, log_variance: Tensor) -> "Gaussians":
        """From means and log variances [N, K]."""
        variance, mean = log_variance.exp(), mean - mean.mean(0)
        precision = variance.reciprocal()
        return cls(mean, mean * precision, variance + mean.square(), precision, log_variance)


def kl_matrix(gaussians: Gaussians) -> Tensor:
    """KL(N_i || N_j) in nats, [N, N]; zero on the diagonal up to rounding."""
    mean, scaled_mean, square, precision, log_variance = gaussians
    volumes = log_variance.sum(1)
    columns = (mean * scaled_mean).sum(1) + volumes - mean.shape[1]
    products = torch.cat([square, mean], 1) @ torch.cat([precision, -2 * scaled_mean], 1).t()
    return 0.5 * (products + columns - volumes.unsqueeze(1))


def mean_kl_by_dimension(gaussians: Gaussians) -> Tensor:
    """What each dimension adds to the mean KL over the ordered pairs i != j, in nats, [K].

    The log variances cancel, and what is left is a product of sums over i and over j.
    """
    mean, scaled_mean, square, precision, _ = gaussians
    size = len(mean)
    # The centred means sum to zero, so that their cross term is gone.
    total = square.sum(0) * precision.sum(0) + size * (mean * scaled_mean).sum(0)
    return (total - size * size) * (0.5 / (size * (size - 1)))


def mean_softplus_by_dimension(gaussians: Gaussians) -> Tensor:
    """The mean over the ordered pairs i != j of softplus(-KL) of every dimension, [K].

    It is not a product of sums: some rows of pairs [rows, N, K] at a time, which are computed again
    for the gradient.
    """
    mean, log_variance = gaussians.mean, gaussians.log_variance
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
    mean = (matrix.sum() - matrix.diagonal().sum()) / count
    squares = (matrix - mean).square()
    variance = (squares.sum() - squares.diagonal().sum()) / (count - 1)
    constant = variance == 0
    return torch.where(constant, 1.0, variance).sqrt() * ~constant
