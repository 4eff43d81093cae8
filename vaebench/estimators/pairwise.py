"""KLs between all ordered pairs of N diagonal Gaussians, by matrix products.

Shapes: means and log variances [N, K]. Means are centred first: a KL does not change by that, and
differences of large numbers lose digits.
"""

import torch
from torch import Tensor


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


def off_diagonal_std(matrix: Tensor) -> Tensor:
    """The unbiased standard deviation of the N (N - 1) entries off the diagonal."""
    count = matrix.numel() - len(matrix)
    off = matrix - torch.diag(matrix.diagonal())
    mean = off.sum() / count
    squares = (off - mean).square()
    return ((squares.sum() - squares.diagonal().sum()) / (count - 1)).sqrt()
