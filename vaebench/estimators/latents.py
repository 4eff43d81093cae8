"""Statistics of latent codes and of Gaussian posteriors, in float64 and nats."""

import math

import torch
from torch import Tensor

from vaebench.estimators.gaussian import LOG_2PI


def active(means: Tensor, threshold: float) -> Tensor:
    """Which dimensions of the posterior means [N, K] vary by more than `threshold` over data, [K].

    Unbiased variance (divided by N - 1); Burda et al. (2016), Section 5.2.
    """
    return means.var(dim=0, correction=1) > threshold


def active_units(means: Tensor, threshold: float) -> int:
    """How many dimensions are `active`."""
    return int(active(means, threshold).sum())


def boxes(values: Tensor) -> Tensor:
    """What a box plot shows of every column of [N, K], [5, K]: the lower whisker, the quartiles and
    the upper whisker, which end at the last values within 1.5 interquartile ranges of the box."""
    values = values.double()
    levels = torch.tensor([0.25, 0.5, 0.75]).to(values)
    lower, median, upper = values.quantile(levels, dim=0)
    reach = 1.5 * (upper - lower)
    low = values.where(values >= lower - reach, math.inf).amin(0)
    high = values.where(values <= upper + reach, -math.inf).amax(0)
    # Quartiles lie between values, so there may be none from a quartile to the end of its reach.
    return torch.stack([low.minimum(lower), lower, median, upper, high.maximum(upper)])


def mean_pairwise_divergence(means: Tensor, log_variances: Tensor) -> float:
    """MPD of Gaussians [N, K] (DU-VAE, Eq. 3): the mean of (KL(q_i || q_j) + KL(q_j || q_i)) / 2
    over all N^2 pairs, those with i = j among them.

    sum_d (E[(m_1 - m_2)^2 / v_1] + E[v] E[1/v] - 1) / 2 for every dimension of independent data 1
    and 2; printed with the -1 outside of the sum. From moments, so it takes N K operations.
    """
    means, variances = means.double(), log_variances.double().exp()
    precisions = 1 / variances
    spread = means.var(dim=0, correction=0)
    squares = (means - means.mean(0)).square() + spread  # E[(m_1 - m_2)^2] given the first
    ratios = variances.mean(0) * precisions.mean(0)
    return 0.5 * float(((squares * precisions).mean(0) + ratios - 1).sum())


def conditional_entropy(log_variances: Tensor) -> float:
    """CE, the mean entropy of Gaussians with log variances [N, K] (DU-VAE, Eq. 5)."""
    return 0.5 * float((log_variances.double() + LOG_2PI + 1).mean(0).sum())


def squared_norm_of_mean(z: Tensor) -> float:
    """||E[z]||^2 of draws [N, K] of the aggregated posterior (IGP, Table 8)."""
    return float(z.double().mean(0).square().sum())


def log_determinant_of_covariance(z: Tensor) -> float:
    """log det Cov[z] in nats of draws [N, K], divided by N - 1 (IGP, Table 8)."""
    covariance = torch.cov(z.double().t()).view(z.shape[1], z.shape[1])
    return float(torch.linalg.slogdet(covariance).logabsdet)
