"""The equations of IGP (arXiv 2110.07383), tested with the package's own estimators."""

import math

import pytest
import torch

from vaebench.estimators import gaussian
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
