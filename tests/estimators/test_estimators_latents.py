"""Active units, and diversity and entropy of Gaussians, against NumPy and slow sums."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.cbook import boxplot_stats

from vaebench.estimators.latents import (
    active_units,
    boxes,
    conditional_entropy,
    log_determinant_of_covariance,
    mean_pairwise_divergence,
    squared_norm_of_mean,
)

law = settings(deadline=None, max_examples=40)
codes = arrays(
    np.float64,
    st.tuples(st.integers(2, 9), st.integers(1, 5)),
    elements=st.floats(-10, 10).map(lambda value: round(value, 3)),
)


@law
@given(codes, st.floats(0.001, 20))
def test_it_counts_unbiased_variances_above_the_threshold(means, threshold):
    variances = means.var(axis=0, ddof=1)
    if np.isclose(variances, threshold, rtol=1e-9).any():
        return  # which side is a matter of rounding
    assert active_units(torch.from_numpy(means), threshold) == (variances > threshold).sum()


@law
@given(codes, st.integers(0, 2**32 - 1))
def test_order_of_data_and_dimensions_and_a_shift_do_not_matter(means, seed):
    rng = np.random.default_rng(seed)
    rows, columns = rng.permutation(means.shape[0]), rng.permutation(means.shape[1])
    moved = means[rows][:, columns] + rng.integers(-5, 5, means.shape[1])
    if np.isclose(means.var(axis=0, ddof=1), 0.01, rtol=1e-9).any():
        return
    assert active_units(torch.from_numpy(moved), 0.01) == active_units(
        torch.from_numpy(means), 0.01
    )


def test_the_threshold_itself_is_not_active():
    means = torch.tensor([[0.0, 0.0], [2.0, 4.0]])  # unbiased variances 2 and 8, exactly
    below_two = float(np.nextafter(np.float32(2), np.float32(0)))
    counts = [active_units(means, threshold) for threshold in (8.0, 2.0, below_two)]
    assert counts == [0, 1, 2]


@pytest.mark.parametrize("value", [0.0, 0.1, -3.7, 1e4])
@pytest.mark.parametrize("size", [2, 1001])
def test_constant_means_are_not_active(value, size):
    assert active_units(torch.full((size, 4), value), 0.0001) == 0


# Gaussians: means and log variances [N, K].


def slow_divergence(means, log_variances):
    total = 0.0
    for m, v in zip(means, np.exp(log_variances), strict=True):
        for n, w in zip(means, np.exp(log_variances), strict=True):
            total += 0.25 * sum((m - n) ** 2 * (1 / v + 1 / w) + v / w + w / v - 2)
    return total / len(means) ** 2


def gaussians(size, latent, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(size, latent)), rng.normal(size=(size, latent))


@pytest.mark.parametrize(("size", "latent"), [(1, 3), (2, 1), (30, 5)])
def test_the_divergence_of_pairs_is_that_of_a_double_loop(size, latent):
    arrays = gaussians(size, latent)
    found = mean_pairwise_divergence(*map(torch.from_numpy, arrays))
    assert found == pytest.approx(slow_divergence(*arrays), rel=1e-10, abs=1e-14)


def test_the_divergence_of_pairs_depends_on_neither_order_nor_place():
    means, log_variances = gaussians(30, 5)
    expected = slow_divergence(means, log_variances)
    order = np.random.default_rng(1).permutation(30)
    moved = torch.from_numpy(means[order] + 1e4), torch.from_numpy(log_variances[order])
    assert mean_pairwise_divergence(*moved) == pytest.approx(expected, rel=1e-7)


def test_float32_is_summed_in_float64():
    means, log_variances = (torch.from_numpy(array).float() for array in gaussians(500, 4))
    found = mean_pairwise_divergence(means, log_variances), conditional_entropy(log_variances)
    means, log_variances = means.double(), log_variances.double()
    assert found == (
        mean_pairwise_divergence(means, log_variances),
        conditional_entropy(log_variances),
    )


def test_equal_gaussians_do_not_differ():
    means, log_variances = torch.full((7, 3), 5.0), torch.full((7, 3), -2.0)
    assert mean_pairwise_divergence(means, log_variances) == pytest.approx(0, abs=1e-12)


def test_the_entropy_is_the_mean_over_data_of_sums_over_dimensions():
    _, log_variances = gaussians(30, 5)
    each = 0.5 * (np.log(2 * np.pi * np.e) + log_variances)
    found = conditional_entropy(torch.from_numpy(log_variances))
    assert found == pytest.approx(each.sum(1).mean(), rel=1e-12)


@law
@given(codes)
def test_the_shape_of_codes_is_that_of_their_moments(z):
    found = torch.from_numpy(z)
    assert squared_norm_of_mean(found) == pytest.approx((z.mean(0) ** 2).sum(), abs=1e-12)
    eigenvalues = np.linalg.eigvalsh(np.atleast_2d(np.cov(z, rowvar=False)))
    if eigenvalues[0] > 1e-6:
        expected = np.log(eigenvalues).sum()
        assert log_determinant_of_covariance(found) == pytest.approx(expected, abs=1e-6)


def test_stretching_a_dimension_adds_the_logarithm_of_its_square():
    z = torch.randn(500, 3, generator=torch.manual_seed(0))
    before = log_determinant_of_covariance(z)
    stretched = z * torch.tensor([1.0, 3.0, 1.0]) + 5
    assert log_determinant_of_covariance(stretched) == pytest.approx(before + np.log(9), rel=1e-5)
    one = z[:, :1] / z[:, :1].std()
    assert log_determinant_of_covariance(one) == pytest.approx(0, abs=1e-6)


def test_a_dimension_that_repeats_another_has_no_volume():
    z = torch.ones(9, 2)
    assert log_determinant_of_covariance(z) == -np.inf and squared_norm_of_mean(z) == 2


@law
@given(codes)
def test_boxes_are_those_of_matplotlib(values):
    parts = "whislo", "q1", "med", "q3", "whishi"
    expected = [[box[part] for box in boxplot_stats(values)] for part in parts]
    np.testing.assert_allclose(boxes(torch.from_numpy(values)), expected, rtol=1e-12, atol=1e-12)


def test_whiskers_leave_out_what_is_far():
    values = torch.tensor([[0.0], [1.0], [2.0], [3.0], [4.0], [100.0], [-50.0]])
    assert boxes(values)[:, 0].tolist() == [0.0, 0.5, 2.0, 3.5, 4.0]
