"""KLs between all pairs against torch.distributions, pair by pair."""

import pytest
import torch
from fixtures import Largest
from torch.distributions import Normal, kl_divergence
from torch.nn.functional import softplus

from vaebench.estimators import pairwise
from vaebench.estimators.pairwise import Gaussians

SIZES = [(2, 1), (5, 3), (20, 8)]


def gaussians(size, latent, offset=0.0):
    generator = torch.Generator().manual_seed(size)
    mean = torch.randn(size, latent, dtype=torch.float64, generator=generator) + offset
    log_variance = torch.randn(size, latent, dtype=torch.float64, generator=generator)
    return mean.requires_grad_(), log_variance.requires_grad_()


def pair_by_pair(mean, log_variance):
    """KL of every dimension, [N, N, K]."""
    scale = torch.exp(0.5 * log_variance)
    one = Normal(mean.unsqueeze(1), scale.unsqueeze(1))
    return kl_divergence(one, Normal(mean.unsqueeze(0), scale.unsqueeze(0)))


def off_diagonal(size):
    return ~torch.eye(size, dtype=torch.bool)


@pytest.mark.parametrize(("size", "latent"), SIZES)
@pytest.mark.parametrize("offset", [0.0, 50.0])
def test_the_matrix_is_that_of_all_pairs(size, latent, offset):
    mean, log_variance = gaussians(size, latent, offset)
    wanted = pair_by_pair(mean, log_variance).sum(-1)
    torch.testing.assert_close(
        pairwise.kl_matrix(Gaussians.of(mean, log_variance)), wanted, rtol=1e-11, atol=1e-11
    )


@pytest.mark.parametrize(("size", "latent"), SIZES)
def test_the_mean_of_a_dimension_leaves_pairs_of_one_out(size, latent):
    mean, log_variance = gaussians(size, latent)
    wanted = pair_by_pair(mean, log_variance)[off_diagonal(size)].mean(0)
    found = pairwise.mean_kl_by_dimension(Gaussians.of(mean, log_variance))
    torch.testing.assert_close(found, wanted, rtol=1e-11, atol=1e-11)
    one, other = (
        torch.autograd.grad(value.square().sum(), (mean, log_variance)) for value in (found, wanted)
    )
    torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("size", "latent"), SIZES)
def test_the_deviation_is_the_unbiased_one_over_ordered_pairs(size, latent):
    mean, log_variance = gaussians(size, latent)
    wanted = pair_by_pair(mean, log_variance).sum(-1)[off_diagonal(size)].std(correction=1)
    found = pairwise.off_diagonal_std(pairwise.kl_matrix(Gaussians.of(mean, log_variance)))
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)
    one, other = (torch.autograd.grad(value, (mean, log_variance)) for value in (found, wanted))
    torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-8)


def test_in_single_precision_nothing_is_lost_to_a_common_offset():
    mean, log_variance = (value.detach() for value in gaussians(20, 8))
    wanted = pairwise.kl_matrix(Gaussians.of(mean, log_variance))
    found = pairwise.kl_matrix(Gaussians.of((mean + 1000).float(), log_variance.float()))
    torch.testing.assert_close(found.double(), wanted, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("terms", [2**20, 70, 1])
def test_the_mean_softplus_is_that_of_all_pairs_a_chunk_at_a_time(terms, monkeypatch):
    monkeypatch.setattr(pairwise, "_TERMS", terms)
    mean, log_variance = gaussians(20, 3)
    wanted = softplus(-pair_by_pair(mean, log_variance))[off_diagonal(20)].mean(0)
    with Largest() as largest:
        found = pairwise.mean_softplus_by_dimension(Gaussians.of(mean, log_variance))
    assert largest.numel <= max(terms, 20 * 3)
    torch.testing.assert_close(found, wanted, rtol=1e-11, atol=1e-11)
    one, other = (
        torch.autograd.grad(value.square().sum(), (mean, log_variance)) for value in (found, wanted)
    )
    torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-11)


def test_a_deviation_of_zero_has_no_gradient():
    """As torch.std's: the KLs of two Gaussians of equal variances are equal."""
    mean = torch.tensor([[0.0], [1.0]], requires_grad=True)
    log_variance = torch.zeros(2, 1, requires_grad=True)
    found = pairwise.off_diagonal_std(pairwise.kl_matrix(Gaussians.of(mean, log_variance)))
    assert found == 0
    for gradient in torch.autograd.grad(found, (mean, log_variance)):
        assert torch.equal(gradient, torch.zeros(2, 1))


@pytest.mark.parametrize(("size", "latent"), SIZES)
def test_a_common_affine_map_changes_nothing(size, latent):
    mean, log_variance = (value.detach() for value in gaussians(size, latent))
    scale = torch.linspace(0.1, 3, latent, dtype=torch.float64)
    shift = torch.linspace(-5, 5, latent, dtype=torch.float64)
    moved = mean * scale + shift, log_variance + 2 * scale.log()
    for function in (
        pairwise.kl_matrix,
        pairwise.mean_kl_by_dimension,
        pairwise.mean_softplus_by_dimension,
    ):
        wanted = function(Gaussians.of(mean, log_variance))
        found = function(Gaussians.of(*moved))
        torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-10)
