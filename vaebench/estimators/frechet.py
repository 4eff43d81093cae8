"""The Frechet distance between Gaussians, in float64 (Heusel et al., 2017, Eq. 6)."""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Moments:
    """`mean` [F] and unbiased `covariance` [F, F] of features, in float64."""

    mean: Tensor
    covariance: Tensor


def moments(chunks: Iterable[Tensor]) -> Moments:
    """The moments of features that come in chunks [n, F]; at least two rows in all.

    Chunks are centred on their own means and merged (Chan, Golub & LeVeque, 1983), which loses
    nothing where the means are large.
    """
    rows = 0
    mean = scatter = torch.zeros(())
    for chunk in chunks:
        features = chunk.double()
        added = len(features)
        its_mean = features.mean(0)
        centred = features - its_mean
        its_scatter = centred.T @ centred
        if rows == 0:
            mean, scatter = its_mean, its_scatter
        else:
            shift = its_mean - mean
            share = added / (rows + added)
            mean = mean + share * shift
            scatter = scatter + its_scatter + rows * share * torch.outer(shift, shift)
        rows += added
    if rows < 2:
        raise ValueError(f"a covariance needs two rows of features; there are {rows}")
    return Moments(mean, scatter / (rows - 1))


def distance(one: Moments, other: Moments) -> float:
    """||m1 - m2||^2 + Tr C1 + Tr C2 - 2 Tr (C1 C2)^(1/2); never negative but for rounding.

    With C1 = A A^T and C2 = B B^T the last trace is the sum of the singular values of A^T B, the
    roots of the eigenvalues of C1^(1/2) C2 C1^(1/2). Taking them as singular values keeps
    singular covariances exact, where the root of a rounded zero would be 1e-8.
    """
    shift = (one.mean - other.mean).square().sum()
    traces = one.covariance.trace() + other.covariance.trace()
    root = torch.linalg.svdvals(_factor(one.covariance).T @ _factor(other.covariance)).sum()
    return float(shift + traces - 2 * root)


def _factor(covariance: Tensor) -> Tensor:
    """A [F, r] with A A^T the covariance of rank r; eigenvalues below rounding count as zero."""
    values, vectors = torch.linalg.eigh(covariance)
    rounding = torch.finfo(values.dtype).eps * len(values) * values[-1].clamp_min(0)
    kept = values > rounding
    factor: Tensor = vectors[:, kept] * values[kept].sqrt()
    return factor
