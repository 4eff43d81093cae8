"""Spherical interpolation against points on a great circle."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vaebench.estimators.interpolation import slerp

law = settings(deadline=None, max_examples=40)
seeds = st.integers(0, 2**32 - 1)
F64 = torch.float64


def codes(seed, *shape):
    return torch.randn(*shape, dtype=F64, generator=torch.Generator().manual_seed(seed))


@law
@given(seeds, st.integers(2, 8))
def test_the_ends_are_the_codes(seed, latent):
    one, other = codes(seed, 2, 5, latent)
    torch.testing.assert_close(slerp(one, other, torch.zeros(5)), one)
    torch.testing.assert_close(slerp(one, other, torch.ones(5)), other)


@law
@given(seeds, st.integers(2, 8), st.floats(0, 1))
def test_codes_of_one_norm_stay_on_the_sphere_at_their_share_of_the_angle(seed, latent, t):
    one, other = torch.nn.functional.normalize(codes(seed, 2, 5, latent), dim=-1) * 3
    found = slerp(one, other, torch.full((5,), t, dtype=F64))
    torch.testing.assert_close(found.norm(dim=-1), torch.full((5,), 3.0, dtype=F64))
    angle = torch.arccos((one * other).sum(-1) / 9)
    cosine = ((one * found).sum(-1) / 9).clamp(-1, 1)
    torch.testing.assert_close(cosine, torch.cos(t * angle))


@law
@given(seeds, st.integers(2, 8), st.floats(0.01, 0.99))
def test_it_is_the_great_circle_through_both(seed, latent, t):
    """By Gram-Schmidt: cos(tw) e1 + sin(tw) e2 in the plane of the two."""
    one, other = torch.nn.functional.normalize(codes(seed, 2, 5, latent), dim=-1)
    along = (one * other).sum(-1, keepdim=True)
    across = other - along * one
    angle = torch.atan2(across.norm(dim=-1, keepdim=True), along)
    across = across / across.norm(dim=-1, keepdim=True)
    expected = torch.cos(t * angle) * one + torch.sin(t * angle) * across
    found = slerp(one, other, torch.full((5,), t, dtype=F64))
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)


def test_codes_of_different_norms_are_not_normalised():
    one, other = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 6.0]])
    found = slerp(one, other, torch.tensor([0.5]))
    torch.testing.assert_close(found, (one + other) * math.sqrt(0.5))


@pytest.mark.parametrize("factor", [1.0, 2.5, -1.0])
def test_it_is_linear_between_parallel_and_opposite_codes(factor):
    one = codes(0, 4, 3)
    t = torch.tensor([0.0, 0.25, 0.5, 1.0], dtype=F64)
    expected = ((1 - t) + t * factor).unsqueeze(-1) * one
    torch.testing.assert_close(slerp(one, factor * one, t), expected)


def test_codes_at_the_origin_are_no_trouble():
    zero, other = torch.zeros(2, 3), torch.ones(2, 3)
    assert slerp(zero, zero, torch.tensor([0.3, 0.5])).eq(0).all()
    assert slerp(zero, other, torch.tensor([0.3, 0.5])).isfinite().all()


def test_each_pair_has_its_own_t_and_its_type():
    one, other = codes(0, 2, 6, 4).float()
    t = torch.linspace(0, 1, 6)
    found = slerp(one, other, t)
    rows = [slerp(one[i : i + 1], other[i : i + 1], t[i : i + 1]) for i in range(6)]
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, torch.cat(rows))
