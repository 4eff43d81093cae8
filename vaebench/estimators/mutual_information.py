"""Estimates of mutual information in nats over N data: AR-ELBO, Eq. 29.

Squared distances come from products of centred matrices, a block at a time; the logarithms of sums
of exponentials are in float64.
"""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

_BLOCK = 1_000
_ROWS = 8  # of 10,000 columns: what fits a core's cache
_LARGEST = 1e8  # summands up to this size leave the exponents an error below 1e-7


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
    centre = means.double().mean(0)
    z, means, log_variances = z.double() - centre, means.double() - centre, log_variances.double()
    precisions, volumes = torch.exp(-log_variances), 0.5 * log_variances.sum(1)
    largest = (z.abs().max() + means.abs().max()).square() * precisions.max() * latent
    exponents = _by_products if float(largest) < _LARGEST else _by_differences
    total = sum(
        float(block.logsumexp(1).sum()) for block in exponents(z, means, precisions, volumes)
    )
    return math.log(size) - total / size - float(volumes.mean()) - 0.5 * latent


def minibatch_latent_form(
    z: Tensor, means: Tensor, log_variances: Tensor, sizes: int | list[int]
) -> float:
    """`latent_form` of minibatches of these sizes in the order of the data, averaged over the data.

    Each is its own empirical distribution, so it is at most the logarithm of its size (He et al.,
    2019).
    """
    parts = (torch.split(tensor, sizes) for tensor in (z, means, log_variances))
    return sum(len(some[0]) * latent_form(*some) for some in zip(*parts, strict=True)) / len(z)


def _by_products(z: Tensor, means: Tensor, precisions: Tensor, volumes: Tensor) -> Iterator[Tensor]:
    """log q(z_i|x_j) + (K/2) ln 2 pi for some i and all j at a time, squares multiplied out."""
    left = torch.cat([z.square(), z], 1)
    right = torch.cat([-0.5 * precisions, means * precisions], 1).T.contiguous()
    constants = -0.5 * (means.square() * precisions).sum(1) - volumes
    for rows in torch.split(left, 4 * _ROWS):  # a product wants more
        yield torch.addmm(constants, rows, right)


def _by_differences(
    z: Tensor, means: Tensor, precisions: Tensor, volumes: Tensor
) -> Iterator[Tensor]:
    """The same, exact where the variances are tiny beside the distances."""
    precisions, means = precisions.T.contiguous(), means.T.contiguous()
    for rows in torch.split(z, _ROWS):
        exponents = -volumes.repeat(len(rows), 1)
        for k in range(len(means)):
            distances = (rows[:, k, None] - means[k]).square_()
            exponents.addcmul_(distances, precisions[k], value=-0.5)
        yield exponents
