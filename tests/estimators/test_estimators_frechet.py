"""The Frechet distance against SciPy's matrix root and closed forms."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import sqrtm

from vaebench.estimators.frechet import Moments, distance, moments

law = settings(deadline=None, max_examples=25)
seeds = st.integers(0, 2**32 - 1)
sizes = st.integers(1, 12)


def features(seed, rows, columns, shift=0.0):
    """Correlated features of unequal scales, in float64."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.randn(columns, columns, dtype=torch.float64, generator=generator)
    return torch.randn(rows, columns, dtype=torch.float64, generator=generator) @ mixing + shift


def between(one, other):
    return distance(moments([one]), moments([other]))


def reference(one, other):
    """The formula as it is written, with SciPy's root."""
    shift = one.mean(0) - other.mean(0)
    first, second = np.cov(one, rowvar=False), np.cov(other, rowvar=False)
    root = sqrtm(np.atleast_2d(first @ second)).real
    return float(shift @ shift + np.trace(first) + np.trace(second) - 2 * np.trace(root))


@law
@given(seeds, st.integers(2, 12))
def test_it_is_that_of_scipy(seed, columns):
    one, other = features(seed, 60, columns), features(seed ^ 1, 80, columns, shift=0.5)
    expected = reference(one.numpy(), other.numpy())
    assert between(one, other) == pytest.approx(expected, rel=1e-6)


@law
@given(seeds, sizes, st.lists(st.integers(1, 9), min_size=2, max_size=6))
def test_moments_are_those_of_numpy_however_they_are_cut(seed, columns, cuts):
    data = features(seed, sum(cuts), columns, shift=1e4)  # far from zero, where sums would lose
    found = moments(torch.split(data, cuts))
    expected = np.cov(data.numpy(), rowvar=False).reshape(columns, columns)
    np.testing.assert_allclose(found.mean, data.numpy().mean(0), rtol=1e-12)
    np.testing.assert_allclose(found.covariance, expected, rtol=1e-9, atol=1e-9)


def test_float32_features_are_summed_in_float64():
    data = features(0, 500, 3, shift=100).float()
    found = moments(torch.split(data, 7))
    assert found.covariance.dtype == torch.float64
    np.testing.assert_allclose(found.covariance, np.cov(data.double().numpy().T), rtol=1e-10)


@pytest.mark.parametrize("chunks", [[], [torch.ones(1, 3)]])
def test_a_covariance_needs_two_rows(chunks):
    with pytest.raises(ValueError, match="two rows"):
        moments(chunks)


def test_gaussians_with_diagonal_covariances_have_a_closed_form():
    means = torch.tensor([[0.0, 1.0, -2.0], [3.0, 0.0, 1.0]], dtype=torch.float64)
    deviations = torch.tensor([[1.0, 2.0, 0.5], [0.1, 2.0, 4.0]], dtype=torch.float64)
    one, other = (
        Moments(mean, deviation.square().diag())
        for mean, deviation in zip(means, deviations, strict=True)
    )
    expected = (means[0] - means[1]).square().sum() + (deviations[0] - deviations[1]).square().sum()
    assert distance(one, other) == pytest.approx(float(expected), rel=1e-12)


def test_with_equal_covariances_only_the_means_count():
    covariance = moments([features(3, 40, 6)]).covariance
    shift = torch.arange(6, dtype=torch.float64)
    found = distance(Moments(shift, covariance), Moments(torch.zeros_like(shift), covariance))
    assert found == pytest.approx(float(shift.square().sum()), rel=1e-12)


@law
@given(seeds, st.integers(2, 20), st.integers(2, 20))
def test_singular_covariances_are_exact(seed, rows, others):
    """Fewer rows than features: in the space that both sides span nothing is singular."""
    columns = 48
    one, other = features(seed, rows, columns), features(seed ^ 1, others, columns)
    basis = torch.linalg.qr(torch.cat([one, other]).T)[0]  # [columns, rows + others]
    shift = one.mean(0) - other.mean(0)
    first, second = (np.cov((some @ basis).numpy(), rowvar=False) for some in (one, other))
    # Tr (C1 C2)^(1/2) by centred rows: the singular values of X Y^T.
    products = (one - one.mean(0)) @ (other - other.mean(0)).T
    root = torch.linalg.svdvals(products).sum() / ((rows - 1) * (others - 1)) ** 0.5
    expected = float(shift.square().sum() - 2 * root) + np.trace(first) + np.trace(second)
    assert between(one, other) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("rows", [2, 10, 300])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 10.0])
def test_nothing_is_at_no_distance_from_itself(rows, scale):
    data = scale * features(1, rows, 64)
    assert abs(between(data, data)) < 1e-6
    constant = torch.full((rows, 64), scale)
    assert between(constant, constant) == 0


@law
@given(seeds, st.integers(2, 30), sizes)
def test_it_is_symmetric_and_not_negative(seed, rows, columns):
    one, other = features(seed, rows, columns), features(seed ^ 1, 25, columns)
    there, back = between(one, other), between(other, one)
    assert there == pytest.approx(back, rel=1e-9, abs=1e-9)
    assert there > -1e-9


def test_the_order_of_rows_does_not_matter():
    one, other = features(0, 100, 9), features(1, 70, 9)
    order = torch.randperm(100, generator=torch.Generator().manual_seed(0))
    assert between(one[order], other) == pytest.approx(between(one, other), rel=1e-10)


def test_it_grows_with_added_noise():
    data = features(0, 400, 8)
    noise = torch.randn(400, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = [between(data, data + strength * noise) for strength in (0, 0.1, 0.3, 1.0, 3.0)]
    assert found == sorted(found) and found[1] > 1e-4
