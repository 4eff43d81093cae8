"""Posteriors: draws against densities and moments, and the divergence from a prior."""

import math

import pytest
import torch
from fixtures import within
from torch import nn

from vaebench.models import divergence
from vaebench.models.divergence import kl_by_dimension, kl_divergence, log_ratio
from vaebench.models.heads import DeterministicHead, GaussianHead
from vaebench.models.posteriors import DeltaPosterior, GaussianDraws, GaussianPosterior
from vaebench.models.priors import StandardGaussian

BATCH, LATENT, DRAWS = 3, 4, 30_000


def gaussian(columns):
    generator = torch.Generator().manual_seed(columns)
    mean = torch.randn(BATCH, LATENT, dtype=torch.float64, generator=generator)
    log_variance = torch.randn(BATCH, columns, dtype=torch.float64, generator=generator)
    return GaussianPosterior(mean.requires_grad_(), (0.7 * log_variance).requires_grad_())


# Examples of every posterior with a density, and of every prior, by type.
POSTERIORS = {"diagonal": lambda: gaussian(LATENT), "isotropic": lambda: gaussian(1)}
PRIORS = {"standard": lambda: StandardGaussian(LATENT)}

posteriors = pytest.mark.parametrize("posterior", POSTERIORS.values(), ids=POSTERIORS)


def drawn(posterior, samples=DRAWS, seed=0):
    torch.manual_seed(seed)
    return posterior.draw(samples)


def draws(posterior, samples=DRAWS, seed=0):
    return drawn(posterior, samples, seed).z.detach()


@posteriors
def test_draws_have_the_moments_of_the_posterior(posterior):
    posterior = posterior()
    z, mean, variance = draws(posterior), posterior.mean.detach(), posterior.variance.detach()
    assert z.shape == (DRAWS, BATCH, LATENT) and variance.shape == (BATCH, LATENT)
    assert within(z, mean)
    assert within((z - mean).square(), variance)
    assert within((z - mean) ** 4, 3 * variance.square())


@posteriors
def test_the_noise_is_independent_over_dimensions_and_data(posterior):
    posterior = posterior()
    scaled = (draws(posterior) - posterior.mean) / posterior.variance.sqrt()
    flat = scaled.detach().flatten(1)
    products = flat.unsqueeze(1) * flat.unsqueeze(2)
    assert within(products, torch.eye(BATCH * LATENT, dtype=torch.float64))


@posteriors
def test_draws_follow_the_density(posterior):
    posterior = posterior()
    z = draws(posterior)
    # E_q[r(z)/q(z)] = 1 for a normalised r within the reach of q: both where q lies and how wide.
    for shift in (-0.3, 0.4):
        width = 0.8 * posterior.variance.detach().sqrt()
        other = torch.distributions.Normal(posterior.mean.detach() + shift * width, width)
        ratio = torch.exp(other.log_prob(z).sum(-1) - posterior.log_prob(z).detach())
        assert within(ratio, 1.0)
    entropy = 0.5 * (math.log(2 * math.pi * math.e) + posterior.variance.detach().log()).sum(-1)
    assert within(-posterior.log_prob(z).detach(), entropy)


@posteriors
def test_draws_are_reparameterised(posterior):
    posterior = posterior()
    torch.manual_seed(0)
    z = posterior.rsample(DRAWS)
    (slope,) = torch.autograd.grad(z.sum(), posterior.mean, retain_graph=True)
    torch.testing.assert_close(slope, torch.full_like(slope, DRAWS))
    # d E[z^2] / d log s^2 = s^2 in every dimension that shares the variance.
    (slope,) = torch.autograd.grad(z.square().mean(0).sum(), posterior.log_variance)
    expected = posterior.variance.detach()
    if posterior.log_variance.shape[-1] == 1:
        expected = expected.sum(-1, keepdim=True)
    torch.testing.assert_close(slope, expected, rtol=0.1, atol=0.02)


@posteriors
def test_draws_with_the_same_seed_are_the_same(posterior):
    posterior = posterior()
    assert torch.equal(draws(posterior, 5, seed=1), draws(posterior, 5, seed=1))
    assert not torch.equal(draws(posterior, 5, seed=1), draws(posterior, 5, seed=2))


def test_the_isotropic_head_shares_one_variance_over_dimensions_and_not_over_data():
    torch.manual_seed(0)
    h = torch.randn(BATCH, 6)
    shared = GaussianHead(6, LATENT, isotropic=True)(h)
    assert shared.log_variance.shape == (BATCH, 1) and shared.variance.shape == (BATCH, LATENT)
    assert torch.equal(shared.variance, shared.variance[:, :1].expand(BATCH, LATENT))
    assert len(shared.variance[:, 0].unique()) == BATCH
    free = GaussianHead(6, LATENT, isotropic=False)(h)
    assert len(free.variance.flatten().unique()) == BATCH * LATENT


def test_an_untied_head_with_repeated_rows_is_the_tied_one():
    torch.manual_seed(0)
    tied, free = (GaussianHead(6, LATENT, isotropic=tied) for tied in (True, False))
    free.mean.load_state_dict(tied.mean.state_dict())
    with torch.no_grad():
        free.log_variance.weight.copy_(tied.log_variance.weight.expand(LATENT, 6))
        free.log_variance.bias.copy_(tied.log_variance.bias.expand(LATENT))
    h, prior = torch.randn(BATCH, 6), StandardGaussian(LATENT)
    one, other = tied(h), free(h)
    z = draws(one, 5)
    torch.testing.assert_close(draws(other, 5), z)
    torch.testing.assert_close(other.log_prob(z), one.log_prob(z))
    found, expected = (kl_divergence(each, prior, GaussianDraws(each, z)) for each in (other, one))
    torch.testing.assert_close(found, expected)


def test_a_delta_posterior_is_its_mean_and_has_no_divergence():
    torch.manual_seed(0)
    posterior = DeterministicHead(6, LATENT)(torch.randn(BATCH, 6))
    assert isinstance(posterior, DeltaPosterior)
    some, prior = posterior.draw(5), StandardGaussian(LATENT)
    assert torch.equal(some.z, posterior.mean.expand(5, BATCH, LATENT))
    assert kl_divergence(posterior, prior, some) is None
    assert not hasattr(posterior, "log_prob")
    for asked in (some.log_prob, lambda: kl_by_dimension(posterior, prior, some)):
        with pytest.raises(TypeError, match="density"):
            asked()


def test_every_closed_form_is_the_mean_of_the_log_ratio():
    tried = set()
    for make_posterior in POSTERIORS.values():
        for make_prior in PRIORS.values():
            posterior, prior = make_posterior(), make_prior()
            pair = type(posterior), type(prior)
            if pair not in divergence._CLOSED_FORMS:
                continue
            tried.add(pair)
            closed = kl_divergence(posterior, prior, posterior.draw(0)).detach()  # it needs no draw
            assert closed.shape == (BATCH,)
            assert within(log_ratio(prior, drawn(posterior)).detach(), closed)
    assert tried == set(divergence._CLOSED_FORMS), "a closed form without examples in this file"


class Shifted(nn.Module):
    """N(1, I): a prior for which nothing is registered."""

    def log_prob(self, z):
        return torch.distributions.Normal(1.0, 1.0).log_prob(z).sum(-1)


@posteriors
def test_without_a_closed_form_the_divergence_is_the_mean_over_the_given_draws(posterior):
    posterior, prior = posterior(), Shifted()
    some = drawn(posterior)
    estimate = kl_divergence(posterior, prior, some).detach()
    moved = GaussianPosterior(posterior.mean - 1, posterior.log_variance)
    exact = kl_divergence(moved, StandardGaussian(LATENT), some).detach()
    assert within(log_ratio(prior, some).detach(), exact)
    torch.testing.assert_close(estimate, log_ratio(prior, some).detach().mean(0))
    z = some.z[:1]
    one = kl_divergence(posterior, prior, GaussianDraws(posterior, z)).detach()
    torch.testing.assert_close(one, (posterior.log_prob(z) - prior.log_prob(z))[0].detach())


@posteriors
@pytest.mark.parametrize("make_prior", PRIORS.values(), ids=PRIORS)
def test_dimensions_sum_to_the_whole(posterior, make_prior):
    posterior, prior = posterior(), make_prior()
    some = posterior.draw(5)
    by_dimension = some.log_prob_by_dimension()
    assert by_dimension.shape == (5, BATCH, LATENT)
    torch.testing.assert_close(by_dimension.sum(-1), some.log_prob())
    found = prior.log_prob_by_dimension(some.z)
    torch.testing.assert_close(found.sum(-1), prior.log_prob(some.z))
    kl = kl_by_dimension(posterior, prior, some)
    assert kl.shape == (BATCH, LATENT)
    torch.testing.assert_close(kl.sum(-1), kl_divergence(posterior, prior, some))


@posteriors
def test_the_divergence_of_a_dimension_is_that_of_its_margins(posterior):
    posterior, prior = posterior(), StandardGaussian(LATENT)
    margins = torch.distributions.Normal(posterior.mean, posterior.variance.sqrt())
    standard = torch.distributions.Normal(torch.zeros_like(posterior.mean), 1.0)
    expected = torch.distributions.kl_divergence(margins, standard)
    torch.testing.assert_close(kl_by_dimension(posterior, prior, posterior.draw(0)), expected)


@posteriors
def test_without_a_closed_form_every_dimension_is_the_mean_over_the_draws(posterior, monkeypatch):
    posterior = posterior()
    exact = kl_by_dimension(posterior, StandardGaussian(LATENT), posterior.draw(0)).detach()
    monkeypatch.setattr(divergence, "StandardGaussian", type(None))
    some = drawn(posterior)
    prior = StandardGaussian(LATENT)
    estimate = kl_by_dimension(posterior, prior, some).detach()
    ratios = (some.log_prob_by_dimension() - prior.log_prob_by_dimension(some.z)).detach()
    assert torch.equal(estimate, ratios.mean(0)) and within(ratios, exact)


def test_a_registered_closed_form_is_used(monkeypatch):
    monkeypatch.setattr(divergence, "_CLOSED_FORMS", dict(divergence._CLOSED_FORMS))
    posterior = gaussian(1)

    @divergence.register_kl(GaussianPosterior, Shifted)
    def closed(posterior, prior):
        return posterior.mean.sum(-1)

    found = kl_divergence(posterior, Shifted(), posterior.draw(1))
    assert torch.equal(found, posterior.mean.sum(-1))
