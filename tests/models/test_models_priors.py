"""Mixture priors against torch's own mixtures, and IGP's one-sample KL."""

import math

import pytest
import torch
from fixtures import within
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from vaebench.models.divergence import kl_by_dimension, kl_divergence
from vaebench.models.posteriors import GaussianPosterior
from vaebench.models.priors import MixturePrior

F64 = torch.float64
LATENT, COMPONENTS = 3, 5
kinds = pytest.mark.parametrize("isotropic", [False, True])


def made(isotropic, latent=LATENT):
    """A prior whose components lie apart."""
    torch.manual_seed(0)
    prior = MixturePrior(latent, COMPONENTS, isotropic=isotropic).double()
    with torch.no_grad():
        prior.means.mul_(5)
    return prior


def torchs(prior):
    deviations = (0.5 * prior.log_variances).exp().expand_as(prior.means)
    parts = Independent(Normal(prior.means, deviations), 1)
    return MixtureSameFamily(Categorical(torch.ones(COMPONENTS, dtype=F64)), parts)


@kinds
def test_its_density_and_gradients_are_those_of_an_equal_mixture(isotropic):
    prior, z = made(isotropic), torch.randn(4, 7, LATENT, dtype=F64)
    leaves = [*prior.parameters()]
    found, expected = prior.log_prob(z), torchs(prior).log_prob(z)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    weights = torch.randn(4, 7, dtype=F64)
    ours, theirs = (
        torch.autograd.grad((values * weights).sum(), leaves) for values in (found, expected)
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-12)


@kinds
def test_its_draws_have_its_moments(isotropic):
    """A draw is that of one component: the average of one of each would vary less."""
    prior = made(isotropic)
    with torch.no_grad():
        torch.manual_seed(1)
        z = prior.sample(50_000, torch.device("cpu")).double()
        mixture = torchs(prior)
        assert within(z, mixture.mean)
        assert within((z - mixture.mean).square(), mixture.variance)


@kinds
def test_it_begins_as_glorot_normal(isotropic):
    torch.manual_seed(0)
    priors = [MixturePrior(32, COMPONENTS, isotropic=isotropic) for _ in range(400)]
    columns = 1 if isotropic else 32
    for name, size in (("means", 32), ("log_variances", columns)):
        values = torch.cat([prior.get_parameter(name) for prior in priors])
        assert values.shape == (400 * COMPONENTS, size)
        deviation = math.sqrt(2 / (size + COMPONENTS))
        assert values.std().item() == pytest.approx(deviation, rel=4 / math.sqrt(values.numel()))
        assert values.abs().max() <= 2 * deviation / 0.8796
    assert sum(p.numel() for p in priors[0].parameters()) == COMPONENTS * (32 + columns)


@kinds
@pytest.mark.parametrize("tied", [False, True])
def test_its_kl_is_that_of_one_draw(isotropic, tied):
    """The terms of 2 pi cancel, so that it is IGP's estimate."""
    prior = made(isotropic)
    mean = torch.randn(1, LATENT, dtype=F64)
    posterior = GaussianPosterior(mean, torch.randn(1, 1 if tied else LATENT, dtype=F64))
    with torch.no_grad():
        draw = posterior.draw(1)
        v = posterior.variance[0]
        log_q = -0.5 * (v.log() + (draw.z[0, 0] - mean[0]).square() / v).sum()
        terms = [
            -0.5 * (log_w + (draw.z[0, 0] - m).square() / log_w.exp()).sum()
            for m, log_w in zip(
                prior.means, prior.log_variances.expand_as(prior.means), strict=True
            )
        ]
        expected = log_q - torch.logsumexp(torch.stack(terms), 0) + math.log(COMPONENTS)
        torch.testing.assert_close(kl_divergence(posterior, prior, draw)[0], expected)


def test_on_average_its_kl_is_the_integral_and_a_draw_may_be_negative():
    prior = made(False, latent=1)
    posterior = GaussianPosterior(torch.full((1, 1), 0.4, dtype=F64), torch.zeros(1, 1, dtype=F64))
    with torch.no_grad():
        grid = torch.linspace(-12, 13, 20_001, dtype=F64)[:, None, None]
        log_q, log_p = posterior.log_prob(grid)[:, 0], prior.log_prob(grid)[:, 0]
        exact = torch.trapezoid(log_q.exp() * (log_q - log_p), grid[:, 0, 0])
        copies = GaussianPosterior(posterior.mean.expand(20_000, 1), posterior.log_variance)
        estimates = kl_divergence(copies, prior, copies.draw(1))
        assert within(estimates, exact) and exact > 0
        assert estimates.min() < 0


def test_its_dimensions_depend_on_one_another():
    prior = made(False)
    with pytest.raises(TypeError, match="mixture"):
        prior.log_prob_by_dimension(torch.zeros(LATENT, dtype=F64))
    posterior = GaussianPosterior(torch.zeros(2, LATENT), torch.zeros(2, 1))
    with pytest.raises(TypeError, match="mixture"):
        kl_by_dimension(posterior, prior, posterior.draw(1))
