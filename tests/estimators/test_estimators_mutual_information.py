"""Mutual information against double loops, closed forms and bounds."""

import math

import pytest
import torch
from scipy.special import logsumexp

from vaebench.estimators import gaussian, mutual_information
from vaebench.estimators.mutual_information import (
    data_form,
    latent_form,
    minibatch_latent_form,
)

F64 = torch.float64


def normal(*shape, seed=0):
    return torch.randn(*shape, dtype=F64, generator=torch.Generator().manual_seed(seed))


def slow_data_form(x, variance):
    rows = x.flatten(1).tolist()
    total = 0.0
    for i, one in enumerate(rows):
        exponents = [
            -sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) / (2 * variance)
            for j, other in enumerate(rows)
            if j != i
        ]
        total -= logsumexp(exponents) - math.log(len(exponents))
    return total / len(rows)


def slow_latent_form(z, means, variance):
    """Eq. 29 as it is printed, with one variance."""
    total = 0.0
    for code in z.tolist():
        exponents = [
            -sum((a - b) ** 2 for a, b in zip(code, mean, strict=True)) / (2 * variance)
            for mean in means.tolist()
        ]
        total -= logsumexp(exponents) - math.log(len(exponents))
    return total / len(z) - z.shape[1] / 2


@pytest.mark.parametrize("block", [1, 7, 23, 1000])
@pytest.mark.parametrize("variance", [0.005, 0.1, 1.0, 30.0])
def test_the_data_form_is_that_of_a_double_loop(block, variance, monkeypatch):
    monkeypatch.setattr(mutual_information, "_BLOCK", block)
    x = torch.rand(23, 1, 3, 4, dtype=F64, generator=torch.Generator().manual_seed(0))
    expected = slow_data_form(x, variance)
    assert data_form(x, variance) == pytest.approx(expected, rel=1e-9, abs=1e-9)
    far = x.float() + 50  # the product of matrices that are not centred would lose these digits
    assert data_form(far, variance) == pytest.approx(expected, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("largest", [0.0, math.inf])  # by differences, by products
@pytest.mark.parametrize("rows", [1, 5, 1000])
@pytest.mark.parametrize("variance", [0.01, 0.5, 1.0])
def test_the_latent_form_is_that_of_a_double_loop(largest, rows, variance, monkeypatch):
    monkeypatch.setattr(mutual_information, "_LARGEST", largest)
    monkeypatch.setattr(mutual_information, "_ROWS", rows)
    means = normal(17, 3)
    z = means + variance**0.5 * normal(17, 3, seed=1)
    log_variances = torch.full_like(means, math.log(variance))
    expected = slow_latent_form(z, means, variance)
    assert latent_form(z, means, log_variances) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("largest", [0.0, math.inf])
def test_with_its_own_variances_it_is_the_mean_log_ratio_to_the_mixture(largest, monkeypatch):
    monkeypatch.setattr(mutual_information, "_LARGEST", largest)
    means, log_variances = normal(11, 3), normal(11, 3, seed=1)
    z = means + torch.exp(0.5 * log_variances) * normal(11, 3, seed=2)
    densities = torch.stack([gaussian.log_density(code, means, log_variances) for code in z])
    mixture = torch.logsumexp(densities, 1) - math.log(11)
    entropy = 0.5 * (log_variances + gaussian.LOG_2PI + 1).sum(1)
    expected = float((-entropy - mixture).mean())
    assert latent_form(z, means, log_variances) == pytest.approx(expected, rel=1e-9)


def test_collapsed_codes_hold_nothing():
    means, log_variances = torch.zeros(2_000, 8), torch.zeros(2_000, 8)
    z = normal(2_000, 8)
    assert abs(latent_form(z, means, log_variances)) < 0.1
    for variance in (0.005, 1.0):
        same = torch.rand(784).expand(2_000, 784) + 1e-4 * normal(2_000, 784)
        assert abs(data_form(same.float(), variance)) < 0.1


@pytest.mark.parametrize("spread", [0.1, 1.0, 10.0, 1e6])
@pytest.mark.parametrize("size", [10, 300])
def test_the_latent_form_is_at_most_the_logarithm_of_the_data(spread, size):
    means = spread * normal(size, 4)
    z = means + normal(size, 4, seed=1)
    found = latent_form(z, means, torch.zeros_like(means))
    # Less the entropy of these very draws instead of its mean, it is a bound without noise.
    excess = 0.5 * float((z - means).square().sum(1).mean()) - 2
    assert found - excess <= math.log(size) + 1e-9
    if spread == 1e6:
        assert found - excess == pytest.approx(math.log(size))


def test_tiny_variances_and_far_codes_stay_finite():
    means = 10 * normal(50, 8)
    log_variances = torch.full_like(means, -40.0)
    z = means + math.exp(-20) * normal(50, 8, seed=1)
    excess = 0.5 * float((z - means).square().sum(1).mean()) * math.exp(40) - 4
    found = latent_form(z, means, log_variances)
    assert found - excess == pytest.approx(math.log(50), rel=1e-6)
    assert math.isfinite(data_form(1e3 * normal(50, 12), 1e-6))


@pytest.mark.parametrize("log_variance", [-10.0, -14.0, -18.0])
def test_products_are_taken_only_where_they_are_exact(log_variance, monkeypatch):
    """Narrow posteriors, a few of which overlap, far from the origin."""
    means = 40 + torch.exp(torch.tensor(log_variance / 2)) * normal(50, 8)
    means[::2] += normal(1, 8, seed=3)
    log_variances = torch.full_like(means, log_variance)
    z = means + math.exp(log_variance / 2) * normal(50, 8, seed=1)
    found = latent_form(z, means, log_variances)
    monkeypatch.setattr(mutual_information, "_LARGEST", 0.0)
    assert found == pytest.approx(latent_form(z, means, log_variances), abs=1e-7)


def test_order_and_a_shift_do_not_matter():
    x, z, means = normal(30, 6), normal(30, 3, seed=1), normal(30, 3, seed=2)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(0))
    assert data_form(x[order] + 3, 0.7) == pytest.approx(data_form(x, 0.7), rel=1e-10)
    zeros = torch.zeros_like(means)
    moved = latent_form(z[order] + 3, means[order] + 3, zeros)
    assert moved == pytest.approx(latent_form(z, means, zeros), rel=1e-10)


def test_minibatches_are_reference_sets_of_their_own():
    means, log_variances = normal(23, 3), 0.5 * normal(23, 3, seed=1)
    z = means + torch.exp(0.5 * log_variances) * normal(23, 3, seed=2)
    parts = [slice(0, 10), slice(10, 20), slice(20, 23)]
    each = [latent_form(z[some], means[some], log_variances[some]) for some in parts]
    expected = (10 * each[0] + 10 * each[1] + 3 * each[2]) / 23
    assert minibatch_latent_form(z, means, log_variances, 10) == pytest.approx(expected, rel=1e-12)
    whole = minibatch_latent_form(z, means, log_variances, 23)
    assert whole == minibatch_latent_form(z, means, log_variances, 50)
    assert whole == pytest.approx(latent_form(z, means, log_variances), rel=1e-12)


def test_far_codes_fill_a_minibatch_and_equal_ones_hold_nothing():
    noise = normal(400, 4, seed=1)
    excess = 0.5 * float(noise.square().sum(1).mean()) - 2
    zeros = torch.zeros_like(noise)
    far = 1e6 * normal(400, 4)
    assert minibatch_latent_form(far + noise, far, zeros, 50) - excess == pytest.approx(
        math.log(50)
    )
    assert abs(minibatch_latent_form(noise, zeros, zeros, 50) - excess) < 1e-9
