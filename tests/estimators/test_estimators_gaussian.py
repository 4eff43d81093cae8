"""Gaussian densities and divergences against torch.distributions, Monte Carlo and calculus."""

import pytest
import torch
from fixtures import within
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Independent, Normal, kl_divergence

from vaebench.estimators import gaussian

law = settings(deadline=None, max_examples=25)
seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 6)


def draw(seed: int, *shape: int, columns: int | None = None, scale: float = 2.0):
    """A mean and a log variance in double precision; `columns` is the width of the latter."""
    generator = torch.Generator().manual_seed(seed)
    mean = scale * torch.randn(*shape, dtype=torch.float64, generator=generator)
    wide = (*shape[:-1], columns or shape[-1])
    return mean, scale * torch.randn(*wide, dtype=torch.float64, generator=generator)


def reference(mean, log_variance):
    return Independent(Normal(mean, torch.exp(0.5 * log_variance).expand_as(mean)), 1)


@law
@given(seeds, sizes, sizes, st.booleans())
def test_kl_is_that_of_torch(seed, batch, latent, isotropic):
    mean, log_variance = draw(seed, batch, latent, columns=1 if isotropic else None)
    standard = reference(torch.zeros_like(mean), torch.zeros_like(mean))
    expected = kl_divergence(reference(mean, log_variance), standard)
    found = gaussian.kl_to_standard(mean, log_variance)
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)


@law
@given(seeds, st.lists(sizes, max_size=2), sizes, st.booleans())
def test_kl_and_density_take_any_leading_axes(seed, leading, latent, isotropic):
    mean, log_variance = draw(seed, *leading, latent, columns=1 if isotropic else None)
    z = mean + torch.exp(0.5 * log_variance) * draw(seed ^ 1, *leading, latent, scale=1)[0]
    expected = reference(mean, log_variance).log_prob(z)
    torch.testing.assert_close(gaussian.log_density(z, mean, log_variance), expected)
    assert gaussian.kl_to_standard(mean, log_variance).shape == tuple(leading)


@pytest.mark.parametrize("columns", [1, 3])
def test_kl_is_the_mean_log_ratio_of_draws(columns):
    mean, log_variance = draw(3, 4, 3, columns=columns, scale=0.7)
    torch.manual_seed(0)
    z = mean + torch.exp(0.5 * log_variance) * torch.randn(100_000, 4, 3, dtype=torch.float64)
    ratio = gaussian.log_density(z, mean, log_variance) - gaussian.standard_log_density(z)
    assert within(ratio, gaussian.kl_to_standard(mean, log_variance))


@law
@given(seeds, sizes, sizes)
def test_an_isotropic_log_variance_equals_the_expanded_one(seed, batch, latent):
    mean, log_variance = draw(seed, batch, latent, columns=1)
    full = log_variance.expand_as(mean)
    z = draw(seed ^ 1, 3, batch, latent)[0]
    kl = gaussian.kl_to_standard
    assert torch.equal(kl(mean, log_variance), kl(mean, full))
    density = gaussian.log_density
    assert torch.equal(density(z, mean, log_variance), density(z, mean, full))


@law
@given(seeds, sizes, sizes)
def test_kl_is_positive_but_for_the_prior_itself(seed, batch, latent):
    mean, log_variance = draw(seed, batch, latent)
    assert (gaussian.kl_to_standard(mean, log_variance) > 0).all()
    nothing = torch.zeros(batch, latent)
    assert torch.equal(gaussian.kl_to_standard(nothing, nothing), torch.zeros(batch))


@law
@given(seeds, sizes, sizes, sizes, st.booleans())
def test_log_densities_are_those_of_torch(seed, samples, batch, latent, isotropic):
    mean, log_variance = draw(seed, batch, latent, columns=1 if isotropic else None)
    z = 3 * draw(seed ^ 1, samples, batch, latent)[0]
    found = gaussian.log_density(z, mean, log_variance)
    expected = reference(mean, log_variance).log_prob(z)
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)
    standard = reference(torch.zeros_like(z), torch.zeros_like(z)).log_prob(z)
    torch.testing.assert_close(gaussian.standard_log_density(z), standard, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("columns", [1, 3])
def test_gradients_are_those_of_the_formulas(columns):
    mean, log_variance = draw(5, 2, 3, columns=columns, scale=0.8)
    mean.requires_grad_()
    log_variance.requires_grad_()
    z = draw(6, 4, 2, 3)[0].requires_grad_()
    assert torch.autograd.gradcheck(gaussian.kl_to_standard, (mean, log_variance))
    assert torch.autograd.gradcheck(gaussian.log_density, (z, mean, log_variance))
    assert torch.autograd.gradcheck(gaussian.standard_log_density, (z,))
    gaussian.kl_to_standard(mean, log_variance).sum().backward()
    torch.testing.assert_close(mean.grad, mean.detach())
    by_dimension = 0.5 * (log_variance.detach().exp() - 1)
    torch.testing.assert_close(log_variance.grad, by_dimension * (3 / columns))
