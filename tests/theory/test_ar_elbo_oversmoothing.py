"""What AR-ELBO says of smoothness, collapse and information, by the package's own estimators."""

import math

import pytest
import torch
from torch import nn

from vaebench.estimators import gaussian
from vaebench.estimators.mutual_information import data_form, latent_form
from vaebench.estimators.smoothness import squared_gaps, squared_jacobian_norms

F64 = torch.float64


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=F64, generator=torch.Generator().manual_seed(seed))


def network(latent=3, pixels=7):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(latent, 9), nn.Tanh(), nn.Linear(9, pixels)).double()


def quadrature(mean, deviations):
    """mean +- sqrt(K) s_j e_j: 2K points of equal weights, exact for quadratic functions."""
    steps = len(mean) ** 0.5 * deviations.diag()
    return mean + torch.cat([steps, -steps])


# The linear approximation, Eq. 16 to 18 and 20.


@pytest.mark.parametrize("isotropic", [True, False])
def test_of_an_affine_decoder_the_error_of_a_draw_is_that_of_the_mean_and_a_penalty(isotropic):
    weight, x, mean = normal(3, 7), normal(7, seed=1), normal(3, seed=2)
    deviations = torch.full((3,), 0.4, dtype=F64) if isotropic else normal(3, seed=3).abs()

    def error(z):
        return (x - z @ weight - 1).square().sum(-1)

    penalty = deviations.square() @ weight.square().sum(1)
    if isotropic:
        norm = squared_jacobian_norms(lambda z: z @ weight + 1, mean[None])[0]
        torch.testing.assert_close(penalty, 0.16 * norm)
    expected = float(error(mean) + penalty)
    assert float(error(quadrature(mean, deviations)).mean()) == pytest.approx(expected, rel=1e-12)
    draws = mean + deviations * normal(200_000, 3, seed=4)
    assert float(error(draws).mean()) == pytest.approx(expected, rel=0.01)


def test_of_a_smooth_decoder_the_decodings_spread_by_the_jacobian_to_second_order():
    net, mean = network(), normal(3, seed=2)
    with torch.no_grad():
        norm = float(squared_jacobian_norms(net, mean[None]))
        remainders = []
        for deviation in (0.3, 0.1, 0.03, 0.01):
            points = quadrature(mean, torch.full((3,), deviation, dtype=F64))
            spread = float((net(points) - net(mean)).square().sum(-1).mean())
            remainders.append(abs(spread / deviation**2 - norm) / norm)
    assert remainders == sorted(remainders, reverse=True) and remainders[-1] < 1e-3 < remainders[0]


# The gap and the Jacobian, Eq. 27 and 28.


def test_the_squared_ratio_of_distances_of_an_affine_decoder_is_its_smoothness():
    weight, noise = normal(4, 7), normal(2, 200_000, 4, seed=1)
    gaps = squared_gaps(lambda z: z @ weight, torch.zeros(1, 4, dtype=F64), noise, 0.5)
    ratios = gaps / (0.5 * (noise[0] - noise[1]).square().sum(-1))
    smoothness = float(squared_jacobian_norms(lambda z: z @ weight, noise[0, :1])) / 4
    assert float(ratios.mean()) == pytest.approx(smoothness, rel=0.01)
    assert float(gaps.mean()) == pytest.approx(2 * 4 * 0.5 * smoothness, rel=0.01)


def test_the_gap_of_a_smooth_decoder_tends_to_its_jacobian():
    """The same noise for all variances, set against its own first order."""
    net, means, noise = network(), normal(500, 3, seed=1), normal(2, 500, 3, seed=2)
    with torch.no_grad():
        difference = noise[0] - noise[1]
        slopes = torch.func.vmap(lambda z, e: torch.func.jvp(net, (z,), (e,))[1])(means, difference)
        first_order = float(slopes.square().sum(-1).mean())
        excesses = [
            abs(
                float(squared_gaps(net, means, noise, variance).mean()) / variance / first_order - 1
            )
            for variance in (1e-1, 1e-2, 1e-3, 1e-4)
        ]
        norms = float(squared_jacobian_norms(net, means).mean())
    assert excesses == sorted(excesses, reverse=True) and excesses[-1] < 1e-3 < excesses[0]
    assert first_order == pytest.approx(2 * norms, rel=0.1)


@pytest.mark.parametrize("latent", [1, 2, 5])
def test_smoothness_is_at_most_the_squared_lipschitz_constant(latent):
    net, z = network(latent), normal(20, latent, seed=1)
    with torch.no_grad():
        values = squared_jacobian_norms(net, z) / latent
    for code, smoothness in zip(z, values.tolist(), strict=True):
        jacobian = torch.autograd.functional.jacobian(net, code)
        largest = float(torch.linalg.svdvals(jacobian)[0]) ** 2
        assert smoothness <= largest * (1 + 1e-12)
        assert (smoothness < 0.999 * largest) == (latent > 1)


def test_it_is_that_constant_where_all_singular_values_are_equal():
    orthogonal = torch.linalg.qr(normal(7, 3))[0].T
    norm = squared_jacobian_norms(lambda z: 2.5 * z @ orthogonal, normal(1, 3))
    assert float(norm) / 3 == pytest.approx(2.5**2, rel=1e-12)


# The divergence.


@pytest.mark.parametrize(("variance", "expected"), [(10, 26.7897), (10**0.9, 19.48), (1, 0)])
def test_the_kl_of_collapsed_rows_is_that_of_eight_dimensions(variance, expected):
    log_variance = torch.full((1, 1), math.log(variance), dtype=F64).expand(1, 8)
    found = gaussian.kl_to_standard(torch.zeros(1, 8, dtype=F64), log_variance)
    assert float(found) == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize("scale", [0.2, 1.0, 3.0])
def test_rescaled_codes_have_the_least_kl_at_unit_second_moment(scale):
    """min over c of the KL with c mu and c sigma: c^2 (E||mu||^2 + K s^2) = K."""
    means, log_variance = scale * normal(400, 8), math.log(0.05)
    second_moment = float(means.square().sum(1).mean()) + 8 * 0.05
    best = math.log((8 / second_moment) ** 0.5)

    def kl(log_scale):
        rescaled = torch.full((400, 8), log_variance + 2 * log_scale, dtype=F64)
        return float(gaussian.kl_to_standard(math.exp(log_scale) * means, rescaled).mean())

    for step in (-0.5, -1e-3, 1e-3, 0.5):
        assert kl(best) < kl(best + step)
    assert kl(best) == pytest.approx(-4 * (log_variance + 2 * best), rel=1e-12)  # -(K/2) ln s^2


# Theorem 2: information and the divergence.


def information(joint):
    """I of a joint table, exactly."""
    independent = joint.sum(1, keepdim=True) * joint.sum(0)
    return float(torch.special.xlogy(joint, joint / independent.clamp_min(1e-300)).sum())


@pytest.mark.parametrize("seed", range(10))
def test_information_of_decoded_codes_is_at_most_that_of_codes_and_the_divergence(seed):
    data, codes, images = 6, 9, 4
    posterior = torch.softmax(3 * normal(data, codes, seed=seed), 1)
    prior = torch.softmax(normal(codes, seed=seed + 100), 0)
    joint = posterior / data
    marginal = joint.sum(0)
    kl = float((posterior * (posterior / prior).log()).sum(1).mean())
    of_marginal = float((marginal * (marginal / prior).log()).sum())
    decoded = torch.arange(codes) % images  # a deterministic x' = f(z)
    pushed = torch.zeros(data, images, dtype=F64).index_add_(1, decoded, joint)
    assert information(joint) == pytest.approx(kl - of_marginal, rel=1e-10)
    assert information(pushed) <= information(joint) + 1e-12 and information(joint) <= kl + 1e-12


@pytest.mark.parametrize("scale", [0.1, 0.5, 1.0, 3.0, 30.0])
@pytest.mark.parametrize("size", [50, 2_000])
def test_gaussian_codes_hold_at_most_their_divergence_and_the_logarithm_of_the_data(scale, size):
    means = scale * normal(size, 4)
    log_variances = torch.full_like(means, math.log(0.2))
    z = means + 0.2**0.5 * normal(size, 4, seed=1)
    found = latent_form(z, means, log_variances)
    kl = float(gaussian.kl_to_standard(means, log_variances).mean())
    noise = 5 * (2 / size) ** 0.5  # of 1/2 chi^2 with four degrees about its mean
    assert found <= math.log(size) + noise and found <= kl + noise


def test_information_goes_to_zero_with_the_divergence():
    found = []
    for strength in (1.0, 0.3, 0.1, 0.03):
        means = strength * normal(2_000, 4)
        log_variances = torch.full_like(means, math.log(1 - strength**2 / 2))
        z = means + torch.exp(0.5 * log_variances) * normal(2_000, 4, seed=1)
        kl = float(gaussian.kl_to_standard(means, log_variances).mean())
        found.append((kl, latent_form(z, means, log_variances)))
    kls, informations = zip(*found, strict=True)
    assert kls == tuple(sorted(kls, reverse=True)) and kls[-1] < 0.01
    assert informations[0] > 0.5 and abs(informations[-1]) < 0.1


def test_the_converse_fails():
    """Appendix E: codes that say nothing of x, far from the prior."""
    means = torch.ones(2_000, 8, dtype=F64)
    log_variances = torch.full_like(means, math.log(10))
    z = means + 10**0.5 * normal(2_000, 8, seed=1)
    kl = gaussian.kl_to_standard(means - 1, log_variances)
    assert float(kl.mean()) == pytest.approx(26.7897, abs=1e-3)
    assert abs(latent_form(z, means, log_variances)) < 0.1
    assert abs(data_form(torch.ones(2_000, 5), 0.5)) < 0.1


@pytest.mark.parametrize("variance", [0.05, 0.3, 1.0])
def test_codes_hold_at_most_what_their_covariance_allows(variance):
    """Lemma 6 and Eq. 37, corrected: I <= 1/2 ln det Cov(z) - K/2 ln s^2, and Gaussian codes,
    whose bound is tight, come close to it."""
    size, latent = 4_000, 3
    mixing = normal(latent, latent, seed=5)
    means = normal(size, latent) @ mixing
    z = means + variance**0.5 * normal(size, latent, seed=1)
    covariance = mixing.T @ mixing + variance * torch.eye(latent, dtype=F64)
    bound = 0.5 * float(covariance.logdet()) - latent / 2 * math.log(variance)
    log_variances = torch.full_like(means, math.log(variance))
    found = latent_form(z, means, log_variances)
    kl = float(gaussian.kl_to_standard(means, log_variances).mean())
    assert found <= min(bound, kl) + 0.1
    assert found == pytest.approx(bound, abs=0.25)
