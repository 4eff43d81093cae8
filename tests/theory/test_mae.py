"""Theorem 1 of MAE (ICLR 2019), which says what the mean of all pairwise divergences is."""

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, MixtureSameFamily, Normal

from vaebench.estimators import pairwise
from vaebench.estimators.pairwise import Gaussians

F64 = torch.float64


def gaussians(size, seed):
    """Posteriors [size, 1] of a p(x) over as many points."""
    generator = torch.Generator().manual_seed(seed)
    mean, log_variance = torch.randn(2, size, 1, dtype=F64, generator=generator)
    return mean, log_variance


def point_masses(size, *, uniform):
    weights = torch.ones(size, dtype=F64) if uniform else torch.arange(1, size + 1, dtype=F64)
    return weights / weights.sum()


def right_hand_side(p: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """E_x [KL(q(z|x) || q(z)), KL(q(z) || q(z|x))] by quadrature, [2]; q(z) = E_x q(z|x)."""
    scale = (0.5 * log_variance).exp().squeeze(1)
    each = Normal(mean.squeeze(1), scale)
    mixture = MixtureSameFamily(Categorical(p), each)
    z = torch.linspace(-80, 80, 200_001, dtype=F64)
    log_each, log_mixture = each.log_prob(z.unsqueeze(1)), mixture.log_prob(z).unsqueeze(1)
    forward = torch.trapezoid(log_each.exp() * (log_each - log_mixture), z, dim=0)
    backward = torch.trapezoid(log_mixture.exp() * (log_mixture - log_each), z, dim=0)
    return torch.stack([p @ forward, p @ backward])


@pytest.mark.parametrize("uniform", [True, False])
@pytest.mark.parametrize(("size", "seed"), [(5, 0), (8, 1)])
def test_the_mean_divergence_of_independent_data_is_information_and_its_reverse(
    size, seed, uniform
):
    """E KL(q(z|x1) || q(z|x2)) with the pairs of a datum with itself = I(x; z) + the reverse."""
    p, posteriors = point_masses(size, uniform=uniform), gaussians(size, seed)
    left = float(p @ pairwise.kl_matrix(Gaussians.of(*posteriors)) @ p)
    information, reverse = right_hand_side(p, *posteriors).tolist()
    assert left == pytest.approx(information + reverse, abs=1e-8)
    assert 0 < information < Categorical(p).entropy() and reverse > 0


@pytest.mark.parametrize(("size", "seed"), [(5, 0), (8, 1)])
def test_distinct_pairs_have_more_by_the_share_of_the_others(size, seed):
    """A minibatch leaves out the pairs of a datum with itself, which are 0: N / (N - 1)."""
    posteriors = gaussians(size, seed)
    whole = right_hand_side(point_masses(size, uniform=True), *posteriors).sum()
    found = pairwise.mean_kl_by_dimension(Gaussians.of(*posteriors)).sum()
    assert float(found) == pytest.approx(float(whole) * size / (size - 1), abs=1e-8)
