"""The importance-weighted bound and its weights against double-precision brute force."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from vaebench.estimators.importance import importance_bound, normalised_weights

law = settings(deadline=None, max_examples=40)
log_weights = arrays(
    np.float64,
    st.tuples(st.integers(1, 8), st.integers(1, 4)),
    elements=st.floats(-1e4, 1e4),
)


def brute_force(values):
    """Bound and weights by extended precision, shifted so that nothing overflows."""
    top = values.max(0)
    shifted = np.exp((values - top).astype(np.longdouble))
    return top + np.log(shifted.mean(0)), shifted / shifted.sum(0)


@law
@given(log_weights)
def test_bound_and_weights_are_those_of_brute_force(values):
    bound, weights = brute_force(values)
    given_weights = torch.from_numpy(values)
    found = importance_bound(given_weights).numpy()
    np.testing.assert_allclose(found, bound.astype(float), rtol=1e-12, atol=1e-12)
    found = normalised_weights(given_weights).numpy()
    np.testing.assert_allclose(found, weights.astype(float), rtol=1e-10, atol=1e-14)


@law
@given(log_weights)
def test_the_bound_lies_between_the_mean_and_the_largest(values):
    given_weights = torch.from_numpy(values)
    bound = importance_bound(given_weights)
    slack = 1e-11 * (1 + given_weights.abs().amax(0))
    assert (given_weights.mean(0) <= bound + slack).all()
    assert (bound <= given_weights.amax(0) + slack).all()
    assert torch.equal(importance_bound(given_weights[:1]), given_weights[0])


@law
@given(log_weights, st.floats(-1e4, 1e4), st.integers(0, 2**32 - 1))
def test_shifts_and_permutations(values, shift, seed):
    given_weights = torch.from_numpy(values)
    order = torch.randperm(len(values), generator=torch.Generator().manual_seed(seed))
    bound, weights = importance_bound(given_weights), normalised_weights(given_weights)
    close = {"rtol": 1e-10, "atol": 1e-10}
    torch.testing.assert_close(importance_bound(given_weights + shift), bound + shift, **close)
    torch.testing.assert_close(importance_bound(given_weights[order]), bound, **close)
    torch.testing.assert_close(normalised_weights(given_weights[order]), weights[order], **close)


@law
@given(log_weights)
def test_the_weights_are_the_gradient_of_the_bound_and_carry_none(values):
    given_weights = torch.from_numpy(values).requires_grad_()
    weights = normalised_weights(given_weights)
    assert not weights.requires_grad
    torch.testing.assert_close(weights.sum(0), torch.ones_like(weights[0]))
    importance_bound(given_weights).sum().backward()
    torch.testing.assert_close(given_weights.grad, weights, rtol=1e-10, atol=1e-14)
