"""The equations of DU-VAE (IJCAI 2021) and of its supplement, with the package's own parts.

Expectations are over all pairs of the data, those of a datum with itself among them, as the paper's
independent x1 and x2 have it.
"""

import math
from itertools import pairwise

import pytest
import torch
from fixtures import within
from flows import inverted, small_flow
from torch import nn
from torch.distributions import Independent, Normal, kl_divergence

from vaebench.estimators.latents import conditional_entropy, mean_pairwise_divergence
from vaebench.models.divergence import kl_by_dimension
from vaebench.models.flows import FlowPosterior
from vaebench.models.heads import (
    ZERO_ENTROPY_VARIANCE,
    LinearGaussianHead,
    NormalisedMean,
    VarianceDropout,
)
from vaebench.models.posteriors import GaussianPosterior
from vaebench.models.priors import StandardGaussian

F64 = torch.float64
ALPHA = ZERO_ENTROPY_VARIANCE
KEEPS = (1.0, 0.9, 0.8, 0.5, 0.1)  # the probability p of keeping a variance

sizes = pytest.mark.parametrize(("size", "latent"), [(2, 1), (60, 3), (40, 32)])


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=F64, generator=torch.Generator().manual_seed(seed))


def gaussians(size, latent, seed=0):
    """Means, and variances above alpha, of posteriors [size, latent]."""
    means, log_raw = normal(size, latent, seed=seed), normal(size, latent, seed=seed + 1) - 1
    return means, log_raw.exp() + ALPHA


def pairwise_divergences(means, variances, other_variances=None):
    """(KL(q_i || q_j) + KL(q_j || q_i)) / 2 of all pairs, [N, N]; the second of a pair may have
    variances of its own."""
    one = Independent(Normal(means[:, None], variances.sqrt()[:, None]), 1)
    others = variances if other_variances is None else other_variances
    other = Independent(Normal(means[None], others.sqrt()[None]), 1)
    return 0.5 * (kl_divergence(one, other) + kl_divergence(other, one))


def mpd(means, variances):
    return mean_pairwise_divergence(means, variances.log())


# Eq. 3 and S13: the mean pairwise divergence.


@sizes
def test_the_mean_pairwise_divergence_is_that_of_all_pairs(size, latent):
    means, variances = gaussians(size, latent)
    divergences = pairwise_divergences(means, variances)
    assert mpd(means, variances) == pytest.approx(divergences.mean().item(), rel=1e-10)
    # Without the pairs of a datum with itself, which add nothing:
    others = divergences.sum() / (size * (size - 1))
    assert others.item() == pytest.approx(mpd(means, variances) * size / (size - 1), rel=1e-10)


@sizes
def test_as_printed_it_is_too_large_by_half_of_all_dimensions_but_one(size, latent):
    """Eq. 3 subtracts 1 from the sum over dimensions and not from each of its terms."""
    means, variances = gaussians(size, latent)
    squares = (means[:, None] - means[None]).square() / variances[:, None]
    products = variances.mean(0) * (1 / variances).mean(0)
    printed = 0.5 * ((squares.mean((0, 1)) + products).sum() - 1).item()
    expected = pairwise_divergences(means, variances).mean().item() + (latent - 1) / 2
    assert printed == pytest.approx(expected, rel=1e-10)


@sizes
def test_bounded_variances_bound_the_divergence_from_below(size, latent):
    """S13: MPD >= sum_d Var[mu_d] / C where no variance is above C; equal where all are C."""
    means, variances = gaussians(size, latent)
    spread = means.var(0, correction=0).sum().item()
    highest = variances.max().item()
    assert mpd(means, variances) > spread / highest
    constant = torch.full_like(means, 0.7)
    assert mpd(means, constant) == pytest.approx(spread / 0.7, rel=1e-12)


def test_a_common_affine_map_leaves_the_divergence():
    means, variances = gaussians(50, 4)
    scale, shift = normal(4, seed=2).exp(), normal(4, seed=3)
    moved = mpd(means * scale + shift, variances * scale.square())
    assert moved == pytest.approx(mpd(means, variances), rel=1e-10)


# Eq. 5: the conditional entropy.


@sizes
def test_the_conditional_entropy_is_the_mean_entropy(size, latent):
    means, variances = gaussians(size, latent)
    expected = Independent(Normal(means, variances.sqrt()), 1).entropy().mean().item()
    assert conditional_entropy(variances.log()) == pytest.approx(expected, rel=1e-12)


def test_above_alpha_every_dimension_has_a_positive_entropy():
    assert abs(ALPHA - 0.0585498315) < 5e-11
    alpha = torch.full((1, 1), ALPHA, dtype=F64)
    assert conditional_entropy(alpha.log()) == pytest.approx(0, abs=1e-15)
    assert conditional_entropy((alpha * (1 + 1e-9)).log()) > 0


# S14 and S15: expectations over the dropout of variances. With probability p a variance v becomes
# (v - alpha) / p + alpha, else alpha.


def expected_inverse(v, p):
    """E[1 / v^], S14."""
    return p**2 / (v + (p - 1) * ALPHA) + (1 - p) / ALPHA


def expected_log(v, p):
    """E[log v^], S14."""
    return p * ((v + (p - 1) * ALPHA) / (p * ALPHA)).log() + math.log(ALPHA)


def two_points(v, p, function):
    kept, dropped = (v - ALPHA) / p + ALPHA, torch.full_like(v, ALPHA)
    return p * function(kept) + (1 - p) * function(dropped)


VARIANCES = ALPHA * (1 + torch.logspace(-6, 4, 60, dtype=F64))


@pytest.mark.parametrize("p", KEEPS)
def test_the_expectations_are_those_of_two_points(p):
    v = VARIANCES
    torch.testing.assert_close(two_points(v, p, lambda u: u), v, rtol=1e-12, atol=0)
    inverse, logarithm = two_points(v, p, torch.reciprocal), two_points(v, p, torch.log)
    torch.testing.assert_close(expected_inverse(v, p), inverse, rtol=1e-12, atol=0)
    torch.testing.assert_close(expected_log(v, p), logarithm, rtol=1e-12, atol=1e-12)


def test_less_is_kept_the_more_uncertain_the_inverse_and_the_lower_the_logarithm():
    for more, less in pairwise(KEEPS):
        assert (expected_inverse(VARIANCES, less) > expected_inverse(VARIANCES, more)).all()
        assert (expected_log(VARIANCES, less) < expected_log(VARIANCES, more)).all()
    for p in KEEPS[1:]:
        inverse, logarithm = expected_inverse(VARIANCES, p), expected_log(VARIANCES, p)
        assert ((inverse > 1 / VARIANCES) & (inverse < 1 / ALPHA)).all()
        assert ((logarithm > math.log(ALPHA)) & (logarithm < VARIANCES.log())).all()


# Proposition 1, with independent dropout of the two data of a pair.


def mpd_with_dropout(means, v, p):
    """Eq. 3 with E[1 / v^] in place of 1 / v, and the first of its two summands alone."""
    inverse = expected_inverse(v, p)
    squares = (means[:, None] - means[None]).square().mean(1)
    first = (squares * inverse).mean(0)
    return 0.5 * (first + v.mean(0) * inverse.mean(0) - 1).sum().item(), first


def ce_with_dropout(v, p):
    return 0.5 * (expected_log(v, p) + math.log(2 * math.pi * math.e)).sum(1).mean().item()


@pytest.mark.parametrize("p", KEEPS)
def test_the_divergence_with_dropout_is_that_of_all_pairs_and_all_dropouts(p):
    means, v = gaussians(30, 3)
    values = (((v - ALPHA) / p + ALPHA, p), (torch.full_like(v, ALPHA), 1 - p))
    expected = 0.0
    for one, probability in values:  # a sum over dimensions: all may be dropped, or none
        for other, other_probability in values:
            pairs = pairwise_divergences(means, one, other).mean().item()
            expected += probability * other_probability * pairs
    assert mpd_with_dropout(means, v, p)[0] == pytest.approx(expected, rel=1e-10)
    entropies = [weight * conditional_entropy(value.log()) for value, weight in values]
    assert ce_with_dropout(v, p) == pytest.approx(sum(entropies), rel=1e-10)


@pytest.mark.parametrize("seed", range(3))
def test_dropout_raises_the_divergence_and_lowers_the_entropy_the_more_the_less_is_kept(seed):
    means, v = gaussians(400, 3, seed)
    divergences = [mpd_with_dropout(means, v, p)[0] for p in KEEPS]
    entropies = [ce_with_dropout(v, p) for p in KEEPS]
    assert divergences[0] == pytest.approx(mpd(means, v), rel=1e-12)
    assert entropies[0] == pytest.approx(conditional_entropy(v.log()), rel=1e-12)
    assert all(less > more for more, less in pairwise(divergences))
    assert all(less < more for more, less in pairwise(entropies))


@pytest.mark.parametrize("p", [0.8, 0.3])
def test_the_drawn_dropouts_have_these_expectations(p):
    means, v = gaussians(40, 3)
    module = VarianceDropout(p, ALPHA)
    module.activate(torch.tensor(True))
    log_raw = (v - ALPHA).log()
    torch.manual_seed(0)
    divergences, entropies = [], []
    for _ in range(400):
        one, other = module(log_raw), module(log_raw)
        divergences.append(pairwise_divergences(means, one.exp(), other.exp()).mean())
        entropies.append(torch.tensor(conditional_entropy(one), dtype=F64))
    assert within(torch.stack(divergences), mpd_with_dropout(means, v, p)[0])
    assert within(torch.stack(entropies), ce_with_dropout(v, p))


@pytest.mark.parametrize("p", KEEPS[1:])
@pytest.mark.parametrize("seed", range(3))
def test_the_spread_of_means_bounds_the_divergence_from_below(p, seed):
    """Eq. 8, and the upper bound of S19 on the first summand of each dimension."""
    means, v = gaussians(400, 3, seed)
    divergence, first = mpd_with_dropout(means, v, p)
    spread = means.var(0, correction=0)
    assert divergence > (1 - p) / ALPHA * spread.sum().item()
    assert (first < 2 / ALPHA * spread).all()


# Eq. 9: batch normalisation of the means, and what it guarantees.


def trained_head(gamma=0.5, keep=0.8, shift=None, scale="rescaled", latent=32):
    torch.manual_seed(0)
    mean = NormalisedMean(latent, gamma=gamma, scale=scale, shift=shift, eps=1e-5)
    variance = VarianceDropout(keep, ALPHA)
    variance.activate(torch.tensor(True))
    head = LinearGaussianHead(8, latent, bias=True, mean=mean, variance=variance).double()
    with torch.no_grad():
        if scale == "rescaled":
            mean.scale.mul_(normal(latent).exp())
        if shift is None:
            mean.shift.copy_(0.3 * normal(latent, seed=1))
    return head


@pytest.mark.parametrize(("gamma", "keep"), [(0.5, 0.8), (0.6, 0.9), (0.4, 0.6)])
def test_a_training_batch_keeps_the_divergence_above_what_gamma_and_p_say(gamma, keep):
    head, h = trained_head(gamma, keep), 3 * normal(200, 8)
    raw = head.linear(h).chunk(2, -1)[1].exp()
    divergence, _ = mpd_with_dropout(head(h).mean, raw + ALPHA, keep)
    floor = (1 - keep) / ALPHA * 32 * gamma**2
    if (gamma, keep) == (0.5, 0.8):
        assert floor == pytest.approx(27.3, abs=0.05)
    assert divergence > floor * (1 - 1e-5)  # batch norm's eps


@pytest.mark.parametrize(
    ("scale", "gamma", "shift"),
    [("fixed", 0.5, None), ("fixed", 0.6, None), ("rescaled", 0.5, None), ("free", 1.0, 0.7)],
)
def test_the_divergence_from_the_prior_has_a_floor(scale, gamma, shift):
    """E[KL] >= sum_d (gamma_d^2 + b_d^2) / 2 over a batch, dimension by dimension."""
    head, h = trained_head(gamma, 1.0, shift, scale), 3 * normal(200, 8)
    posterior = head(h)
    kl = kl_by_dimension(posterior, StandardGaussian(32), posterior.draw(0)).mean(0)
    floor = 0.5 * (posterior.mean.var(0, correction=0) + head.mean.shift.square())
    assert (kl > floor).all()
    if scale != "free":
        assert floor.sum() > 16 * gamma**2 * (1 - 1e-5)


@pytest.mark.parametrize(
    ("beta", "floor"), [(0.1, 0.16), (0.3, 1.44), (0.5, 4.0), (0.7, 7.84), (1.0, 16.0)]
)
def test_a_frozen_shift_is_a_floor_though_the_posteriors_collapse(beta, floor):
    """Tables S1 and S2: the KL of 32 dimensions with scales and noise that say nothing."""
    head = trained_head(1.0, 1.0, beta, "free")
    head.variance.activate(torch.tensor(False))
    with torch.no_grad():
        head.mean.scale.zero_()
        head.linear.weight[32:].zero_()
        head.linear.bias[32:].zero_()
        posterior = head(normal(50, 8))
    kl = kl_by_dimension(posterior, StandardGaussian(32), posterior.draw(0)).sum(1)
    torch.testing.assert_close(kl, torch.full_like(kl, floor))
    assert mpd(posterior.mean, posterior.variance) == pytest.approx(0, abs=1e-12)


# S23 to S28: flows.


def flow_posterior(size=6, latent=4, seed=0):
    base = GaussianPosterior(normal(size, latent, seed=seed), 0.5 * normal(size, latent, seed=9))
    return FlowPosterior(base, normal(size, 3, seed=seed + 1), small_flow(latent, 3, seed=seed))


@pytest.mark.parametrize("seed", range(3))
def test_the_entropy_falls_by_the_logarithms_of_all_gates(seed):
    """S23 to S25, draw by draw: reversals add nothing, and every gate lies in (0, 1)."""
    posterior = flow_posterior(seed=seed)
    draws = posterior.draw(50)
    z, context, gates = draws.base.z, posterior.context, 0.0
    for block in posterior.flow.blocks:
        z, log_gates = block(z, context)
        assert (log_gates < 0).all()
        z, gates = z.flip(-1), gates + log_gates.sum(-1)
    torch.testing.assert_close(z, draws.z)
    difference = draws.base.log_prob() - draws.log_prob()
    torch.testing.assert_close(difference, gates, rtol=0, atol=1e-10)
    assert (-draws.log_prob() < -draws.base.log_prob()).all()


def log_ratios(posterior):
    """log q(z|x_i) - log q(z|x_j) at draws z of x_i for all i and j, of z_0 and of z_T."""
    draws = posterior.draw(5)
    size = len(posterior.context)
    before, after = (torch.empty(5, size, size, dtype=F64) for _ in range(2))
    for i in range(size):
        for j in range(size):
            # z_T of x_i under x_j: back through the flow of x_j, by its own context.
            z0 = inverted(posterior.flow, draws.z[:, i], posterior.context[j])
            _, log_slopes = posterior.flow(z0, posterior.context[j])
            other = GaussianPosterior(posterior.base.mean[[j]], posterior.base.log_variance[[j]])
            log_prob = other.log_prob(z0.unsqueeze(1))[:, 0] - log_slopes.sum(-1)
            after[:, i, j] = draws.log_prob()[:, i] - log_prob
            direct = other.log_prob(draws.base.z[:, [i]])[:, 0]
            before[:, i, j] = draws.base.log_prob()[:, i] - direct
    return before, after


@torch.no_grad()
def test_a_flow_with_one_context_for_all_leaves_the_divergences_of_pairs():
    """S28, draw by draw; with contexts of their own it does not hold."""
    posterior = flow_posterior()
    constant = FlowPosterior(
        posterior.base, posterior.context[:1].expand_as(posterior.context), posterior.flow
    )
    before, after = log_ratios(constant)
    torch.testing.assert_close(after, before, rtol=0, atol=1e-10)
    before, after = log_ratios(posterior)
    pairs = ~torch.eye(len(posterior.context), dtype=torch.bool)
    assert ((after - before).abs()[:, pairs] > 1e-6).all()


def test_weights_of_zero_on_the_context_do_the_same():
    posterior = flow_posterior()
    for block in posterior.flow.blocks:
        nn.init.zeros_(block.made.context.weight)
    with torch.no_grad():
        before, after = log_ratios(posterior)
    torch.testing.assert_close(after, before, rtol=0, atol=1e-10)
