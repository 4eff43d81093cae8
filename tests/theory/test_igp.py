"""The equations of IGP (arXiv 2110.07383), tested with the package's own estimators."""

import math

import pytest
import torch
from fixtures import within

from vaebench.estimators import gaussian
from vaebench.estimators.latents import active_units
from vaebench.estimators.mutual_information import latent_form
from vaebench.models.posteriors import GaussianPosterior

F64 = torch.float64


def kl(mean, deviation):
    return gaussian.kl_to_standard(mean, 2 * deviation.log())


def tied(deviation):
    """One deviation a row: the smallest, as in Theorem 1."""
    return deviation.amin(-1, keepdim=True)


def uniform(low, high, *shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return low + (high - low) * torch.rand(*shape, dtype=F64, generator=generator)


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=F64, generator=torch.Generator().manual_seed(seed))


def h(variance):
    return variance - 1 - variance.log()


# Theorem 1, the divergence. Printed without a condition; it holds where no deviation exceeds one.


@pytest.mark.parametrize("latent", [2, 8, 32])
def test_tying_to_the_smallest_variance_never_lowers_the_kl_below_one(latent):
    deviation, mean = uniform(0.01, 1, 20_000, latent), normal(20_000, latent, seed=1)
    difference = kl(mean, tied(deviation)) - kl(mean, deviation)
    assert difference.min() >= -1e-9
    assert (difference > 1e-9).double().mean() > 0.99  # and is equal for equal deviations alone
    equal = deviation[:, :1].expand(-1, latent)
    torch.testing.assert_close(kl(mean, tied(equal)), kl(mean, equal))


@pytest.mark.parametrize(
    ("deviations", "diagonal", "isotropic"),
    [([1, 2], 0.8069, 0.0), ([0.8, 1.6], 0.3531, 0.0863), ([0.3, 1.2], 0.787, 1.498)],
)
def test_above_one_it_may_lower_the_kl(deviations, diagonal, isotropic):
    deviation, mean = torch.tensor(deviations, dtype=F64), torch.zeros(2, dtype=F64)
    assert kl(mean, deviation).item() == pytest.approx(diagonal, abs=5e-4)
    assert kl(mean, tied(deviation)).item() == pytest.approx(isotropic, abs=5e-4)


@pytest.mark.parametrize(
    ("latent", "wide", "narrow"), [(2, 0.63, 0.47), (8, 0.91, 0.08), (32, 0.999, 0.0001)]
)
def test_the_exact_condition_and_how_often_theorem_1_fails_without_one(latent, wide, narrow):
    mean = normal(20_000, latent, seed=1)
    log_uniform = torch.exp(uniform(math.log(0.05), math.log(20), 20_000, latent))
    around_one, above_one = uniform(0.5, 1.5, 20_000, latent), uniform(1, 3, 20_000, latent)
    for deviation, rate in ((log_uniform, wide), (around_one, narrow), (above_one, 1.0)):
        lowered = kl(mean, tied(deviation)) < kl(mean, deviation)
        smallest = tied(deviation)[:, 0].square()
        assert torch.equal(lowered, h(deviation.square()).sum(-1) > latent * h(smallest))
        assert lowered.double().mean().item() == pytest.approx(rate, abs=0.01)


# Theorem 1, the probability of a box around the mean.


def log_box(deviation, half_width):
    """log P(|z_i - mu_i| <= half_width for all i)."""
    return torch.erf(half_width / (deviation * math.sqrt(2))).log().sum(-1)


@pytest.mark.parametrize("latent", [2, 8, 32])
def test_tying_never_lowers_the_probability_of_a_box(latent):
    deviation = torch.exp(uniform(math.log(0.05), math.log(20), 20_000, latent))
    half_width = torch.exp(uniform(math.log(0.01), math.log(10), 20_000, 1, seed=1))
    difference = log_box(tied(deviation).expand_as(deviation), half_width)
    difference -= log_box(deviation, half_width)
    assert difference.min() >= -1e-9


def test_the_probability_of_a_box_is_that_of_our_draws():
    mean = torch.zeros(1, 3, dtype=F64)
    for log_variance in ([[0.2, -1.0, 0.7]], [[-1.0]]):
        posterior = GaussianPosterior(mean, torch.tensor(log_variance, dtype=F64))
        expected = log_box(posterior.variance.sqrt(), torch.tensor([[0.8]], dtype=F64)).exp()
        torch.manual_seed(0)
        inside = (posterior.rsample(200_000).abs() <= 0.8).all(-1).double().mean(0)
        torch.testing.assert_close(inside, expected, rtol=0.02, atol=0)


def test_the_derivative_in_the_proof():
    deviation = torch.linspace(0.1, 3, 50, dtype=F64)
    step = 1e-5

    def probability(s, half_width):
        return torch.erf(half_width / (s * math.sqrt(2)))

    for half_width in (0.3, 1.0, 2.0):
        upper, lower = (probability(deviation + d, half_width) for d in (step, -step))
        exponential = torch.exp(-(half_width**2) / (2 * deviation.square()))
        slope = -2 * half_width / (math.sqrt(2 * math.pi) * deviation.square()) * exponential
        # The absolute part covers slopes that underflow the differences.
        torch.testing.assert_close((upper - lower) / (2 * step), slope, rtol=1e-6, atol=1e-10)


# The variance of an estimated variance, with and without tied dimensions.

REPEATS = 4000


def estimates(draws, latent, *, known_mean):
    """Estimated variances [REPEATS, latent] of as many posteriors with variance one."""
    posterior = GaussianPosterior(torch.zeros(REPEATS // 8, latent), torch.zeros(REPEATS // 8, 1))
    torch.manual_seed(0)
    found = []
    for _ in range(8):  # in parts, to stay small
        z = posterior.rsample(draws)
        found.append(z.square().mean(0) if known_mean else z.var(0, correction=1))
    return torch.cat(found).double()


@pytest.mark.parametrize(
    ("draws", "latent", "alone", "pooled"),
    [
        (100, 8, 0.1411, 0.0500),
        (1000, 8, 0.0448, 0.0162),
        (100, 32, 0.1413, 0.0255),
        (20, 32, 0.3153, 0.0559),
    ],
)
def test_pooling_tied_dimensions_sharpens_the_variance(draws, latent, alone, pooled):
    for known_mean, freedom in ((True, draws), (False, draws - 1)):
        found = estimates(draws, latent, known_mean=known_mean)
        each, tied_together = found.std(0).mean().item(), found.mean(1).std().item()
        assert each == pytest.approx(math.sqrt(2 / freedom), rel=0.05)
        assert tied_together == pytest.approx(math.sqrt(2 / (freedom * latent)), rel=0.05)
        if known_mean:
            assert each == pytest.approx(alone, rel=0.05)
            assert tied_together == pytest.approx(pooled, rel=0.05)


def test_a_few_of_many_variances_differ_substantially_by_chance():
    found = {
        latent: (estimates(100, latent, known_mean=True) - 1).abs().amax(1).mean().item()
        for latent in (8, 32)
    }
    assert found[8] == pytest.approx(0.252, rel=0.05)
    assert found[32] == pytest.approx(0.336, rel=0.05)
    assert found[8] < found[32]


# "All or none": nothing in an isotropic posterior singles out the axes.


def rotation(latent, seed):
    return torch.linalg.qr(normal(latent, latent, seed=seed))[0]


@pytest.mark.parametrize("latent", [2, 8, 32])
@pytest.mark.parametrize("seed", range(5))
def test_the_isotropic_kl_sees_the_length_of_the_mean_alone(latent, seed):
    mean, log_variance = normal(50, latent, seed=seed), normal(50, 1, seed=seed + 100)
    before = gaussian.kl_to_standard(mean, log_variance)
    after = gaussian.kl_to_standard(mean @ rotation(latent, seed), log_variance)
    torch.testing.assert_close(after, before, rtol=1e-10, atol=1e-10)
    along_an_axis = torch.zeros_like(mean)
    along_an_axis[:, 0] = mean.norm(dim=-1)
    along = gaussian.kl_to_standard(along_an_axis, log_variance)
    torch.testing.assert_close(along, before, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("latent", [2, 8, 32])
def test_a_rotated_isotropic_posterior_is_isotropic_and_a_diagonal_one_is_not_diagonal(latent):
    turn = rotation(latent, 0)
    mean, z = normal(20, latent, seed=1), normal(7, 20, latent, seed=2)
    for columns in (1, latent):
        log_variance = normal(20, columns, seed=3)
        before = GaussianPosterior(mean, log_variance).log_prob(z)
        after = GaussianPosterior(mean @ turn, log_variance).log_prob(z @ turn)
        assert torch.allclose(after, before, rtol=1e-10, atol=1e-10) == (columns == 1)


# All in one direction or evenly over all: the same divergence, not the same information.


def designed(covariance):
    """Means [2K, K] whose second moment over data is a covariance [K, K], exactly."""
    root = torch.linalg.cholesky(covariance) * math.sqrt(len(covariance))
    return torch.cat([root.t(), -root.t()])


def information(covariance, variance):
    """I(x, z) in nats of z = m(x) + noise, m ~ N(0, covariance), noise of one variance."""
    scaled = torch.eye(len(covariance), dtype=F64) + covariance / variance
    return 0.5 * torch.logdet(scaled).item()


@pytest.mark.parametrize("latent", [2, 8, 32])
@pytest.mark.parametrize("variance", [0.05, 0.4, 0.9])
def test_for_one_divergence_evenly_spread_signals_carry_most(latent, variance):
    power = latent * (1 - variance)
    log_variance = torch.tensor([[math.log(variance)]], dtype=F64)
    even = torch.eye(latent, dtype=F64) * power / latent
    best, charged = (
        information(even, variance),
        gaussian.kl_to_standard(designed(even), log_variance).mean().item(),
    )
    generator = torch.Generator().manual_seed(0)
    for seed in range(50):
        shares = torch.rand(latent, dtype=F64, generator=generator).log().neg().pow(2)
        turn = rotation(latent, seed)
        some = turn @ torch.diag(power * shares / shares.sum()) @ turn.t()
        kl_of_some = gaussian.kl_to_standard(designed(some), log_variance).mean().item()
        assert kl_of_some == pytest.approx(charged, rel=1e-10)
        assert information(some, variance) < best
    # The aggregated posterior is then N(0, I), and nothing of the divergence is lost.
    assert best == pytest.approx(charged, rel=1e-10)


def test_one_signal_is_in_one_unit_only_along_an_axis():
    """Not "all or none": a signal along an axis leaves the other units idle, at the price of all
    the same; turned, it is in every one."""
    latent, variance = 8, 0.5
    axis = 1e-12 * torch.eye(latent, dtype=F64)
    axis[0, 0] = 4.0
    turn = rotation(latent, 0)
    turned = turn @ axis @ turn.t()
    log_variance = torch.tensor([[math.log(variance)]], dtype=F64)
    along, across = designed(axis), designed((turned + turned.t()) / 2)
    assert [active_units(means, 1e-6) for means in (along, across)] == [1, latent]
    kls = [gaussian.kl_to_standard(means, log_variance).mean().item() for means in (along, across)]
    assert kls[0] == pytest.approx(kls[1], rel=1e-9)
    idle = gaussian.kl_to_standard_by_dimension(along, log_variance)[:, 1:].mean(0)
    torch.testing.assert_close(
        idle, 0.5 * h(torch.full((7,), variance, dtype=F64)), rtol=1e-9, atol=0
    )


# H - D <= I(x, z) <= R, and what lies between (Section 5.1).

GRID = torch.linspace(-12, 12, 4801, dtype=F64)


def channel(words, seed):
    """p(x) [X], encoders N(mean, exp(log_variance)) [X, 1], and a decoder's log p(x|z) [X, G]."""
    p = uniform(0.05, 1, words, seed=seed)
    mean, log_variance = (
        1.5 * normal(words, 1, seed=seed + 1),
        uniform(-4, 0.4, words, 1, seed=seed + 2),
    )
    slopes = normal(words, 4, seed=seed + 3)
    shown = torch.stack([torch.ones_like(GRID), GRID, GRID.sin(), (2 * GRID).cos()])
    return p / p.sum(), mean, log_variance, torch.log_softmax(2 * slopes @ shown, 0)


def integral(values):
    return torch.trapezoid(values, GRID)


@pytest.mark.parametrize("words", [2, 3, 6])
def test_information_lies_between_distortion_and_rate(words):
    for seed in range(0, 1000, 10):
        p, mean, log_variance, log_decoder = channel(words, seed)
        log_q = gaussian.log_density(GRID[None, :, None], mean[:, None], log_variance[:, None])
        log_joint = p.log()[:, None] + log_q
        log_aggregate = log_joint.logsumexp(0)
        rate = (p * gaussian.kl_to_standard(mean, log_variance)).sum()
        distortion = -integral((log_joint.exp() * log_decoder).sum(0))
        entropy = -(p * p.log()).sum()
        mutual = integral((log_joint.exp() * (log_q - log_aggregate)).sum(0))
        assert entropy - distortion <= mutual + 1e-9 and mutual <= rate + 1e-9
        # The slack on either side is a divergence.
        log_prior = gaussian.standard_log_density(GRID[:, None])
        of_prior = integral(log_aggregate.exp() * (log_aggregate - log_prior))
        of_decoder = integral((log_joint.exp() * (log_joint - log_aggregate - log_decoder)).sum(0))
        torch.testing.assert_close(rate - mutual, of_prior, rtol=1e-6, atol=1e-7)
        torch.testing.assert_close(mutual - entropy + distortion, of_decoder, rtol=1e-6, atol=1e-7)


def test_the_best_decoder_leaves_no_slack():
    """Bayes' rule, for which the distortion is the entropy of words given codes."""
    p, mean, log_variance, _ = channel(4, 0)
    log_q = gaussian.log_density(GRID[None, :, None], mean[:, None], log_variance[:, None])
    log_joint = p.log()[:, None] + log_q
    distortion = -integral((log_joint.exp() * torch.log_softmax(log_joint, 0)).sum(0))
    mutual = integral((log_joint.exp() * (log_q - log_joint.logsumexp(0))).sum(0))
    torch.testing.assert_close(-(p * p.log()).sum() - distortion, mutual, rtol=1e-9, atol=1e-10)


def test_the_quadrature_is_what_is_estimated_of_data():
    """Words are equally likely, as data are."""
    _, mean, log_variance, _ = channel(4, 0)
    log_q = gaussian.log_density(GRID[None, :, None], mean[:, None], log_variance[:, None])
    mutual = integral((log_q.exp() / 4 * (log_q - log_q.logsumexp(0) + math.log(4))).sum(0))
    torch.manual_seed(0)
    draws = GaussianPosterior(mean, log_variance).rsample(500)
    found = torch.tensor([latent_form(z, mean, log_variance) for z in draws], dtype=F64)
    assert within(found, mutual)
