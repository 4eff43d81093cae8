"""Active units against NumPy."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vaebench.estimators.latents import active_units

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
