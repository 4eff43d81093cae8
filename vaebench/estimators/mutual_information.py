"""Estimates of mutual information in nats over N data: AR-ELBO, Eq. 29.

Squared distances come from products of centred matrices, a block at a time; the logarithms of sums
of exponentials are in float64.
"""

import math

import torch
from torch import Tensor

_BLOCK = 1_000
_ROWS = 8  # of 10,000 columns: what fits a core's cache


def data_form(decoded: Tensor, variance: float) -> float:
    """I(x'; z) for p(x'|z) = N(mu(z), variance * I), each datum left out of its own mean.

    -(1/N) sum_i ln (1/(N-1)) sum_{j != i} exp(-||x_i - x_j||^2 / (2 variance)) for decoded codes
    [N, ...], N >= 2. It bounds nothing on a finite sample.
    """
    flat = decoded.flatten(1)
    flat = flat - flat.mean(0)
    squares = flat.square().sum(1)
    blocks = torch.split(torch.arange(len(flat), device=flat.device), _BLOCK)
    sums = torch.full((len(flat),), -math.inf, dtype=torch.float64, device=flat.device)
    for first, rows in enumerate(blocks):
        for columns in blocks[first:]:  # the distances are symmetric
            products = flat[rows] @ flat[columns].T
            distances = squares[rows, None] + squares[columns] - 2 * products
            exponents = distances.clamp_min(0).double() / (-2 * variance)
            if columns is rows:
                exponents.fill_diagonal_(-math.inf)
            else:
                sums[columns] = torch.logaddexp(sums[columns], exponents.logsumexp(0))
            sums[rows] = torch.logaddexp(sums[rows], exponents.logsumexp(1))
    return math.log(len(flat) - 1) - float(sums.mean())


def latent_form(z: Tensor, means: Tensor, log_variances: Tensor) -> float:
    """I(x; z) of draws z_i ~ q(z|x_i) under the empirical distribution of the data; at most ln N.

    -(1/N) sum_i ln (1/N) sum_j q(z_i|x_j) less the entropy of q(z|x), all [N, K]. With one variance
    s^2 this is -(1/N) sum_i ln (1/N) sum_j exp(-||z_i - m_j||^2 / (2 s^2)) - K/2.
    """
    size, latent = means.shape
    precisions = torch.exp(-log_variances.double()).T.contiguous()
    volumes = 0.5 * log_variances.double().sum(1)
    centres, total = means.double().T.contiguous(), 0.0
    for rows in torch.split(z.double(), _ROWS):
        exponents = -volumes.repeat(len(rows), 1)
        for k in range(latent):  # elementwise: differences are exact where variances are tiny
            distances = (rows[:, k, None] - centres[k]).square_()
            exponents.addcmul_(distances, precisions[k], value=-0.5)
        total += float(exponents.logsumexp(1).sum())
    return math.log(size) - total / size - float(volumes.mean()) - 0.5 * latent


def minibatch_latent_form(z: Tensor, means: Tensor, log_variances: Tensor, batch: int) -> float:
    """`latent_form` of minibatches of `batch` in the order of the data, averaged over the data.

    Each is its own empirical distribution, so it is at most ln batch (He et al., 2019).
    """
    parts = (torch.split(tensor, batch) for tensor in (z, means, log_variances))
    return sum(len(some[0]) * latent_form(*some) for some in zip(*parts, strict=True)) / len(z)
