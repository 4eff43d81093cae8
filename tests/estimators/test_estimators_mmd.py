"""The MMD against a double loop over pairs, and what it says of two samples."""

import pytest
import torch

from vaebench.estimators.mmd import imq_mmd

CONSTANTS = [0.6, 3.0, 12.0]


def sample(size, latent, seed, shift=0.0):
    generator = torch.Generator().manual_seed(seed)
    return shift + torch.randn(size, latent, dtype=torch.float64, generator=generator)


def by_pairs(first, second, constants):
    """Every pair by itself, as the authors' code has it."""

    def kernel(a, b):
        return sum(c / (c + float((a - b).square().sum())) for c in constants)

    n = len(first)
    within = sum(
        kernel(group[i], group[j])
        for group in (first, second)
        for i in range(n)
        for j in range(n)
        if i != j
    )
    between = sum(kernel(a, b) for a in first for b in second)
    return within / (n * (n - 1)) - 2 * between / n**2


@pytest.mark.parametrize(("size", "latent"), [(2, 1), (7, 3), (12, 16)])
def test_it_is_the_sum_over_pairs(size, latent):
    first, second = sample(size, latent, 0), sample(size, latent, 1, shift=0.5)
    expected = by_pairs(first, second, CONSTANTS)
    assert float(imq_mmd(first, second, CONSTANTS)) == pytest.approx(expected, rel=1e-10)


def test_the_gradient_is_that_of_the_sum_over_pairs():
    first, second = sample(5, 2, 0).requires_grad_(), sample(5, 2, 1)
    (found,) = torch.autograd.grad(imq_mmd(first, second, CONSTANTS), first)
    step = 1e-6
    for i in range(5):
        for k in range(2):
            moved = [first.detach().clone() for _ in range(2)]
            moved[0][i, k] += step
            moved[1][i, k] -= step
            up, down = (by_pairs(one, second, CONSTANTS) for one in moved)
            assert float(found[i, k]) == pytest.approx((up - down) / (2 * step), abs=1e-8)


def test_it_is_unbiased_and_so_zero_for_one_distribution_and_positive_for_two():
    draws = [
        [imq_mmd(sample(8, 2, seed), sample(8, 2, seed + 5000, shift), CONSTANTS).item()
         for seed in range(400)]
        for shift in (0.0, 1.0)
    ]  # fmt: skip
    for values, shifted in zip(draws, (False, True), strict=True):
        found = torch.tensor(values)
        error = found.std() / len(found) ** 0.5
        assert found.min() < 0
        assert (found.mean() > 10 * error) == shifted
        assert shifted or found.mean().abs() < 4 * error


def test_single_precision_is_close_though_distances_are_differences():
    first, second = sample(64, 16, 0), sample(64, 16, 1)
    constants = [2 * 16 * scale for scale in (0.1, 10.0)]
    exact = imq_mmd(first, second, constants)
    single = imq_mmd(first.float(), second.float(), constants)
    assert float(single) == pytest.approx(float(exact), abs=1e-5)


@pytest.mark.parametrize(("one", "other"), [(1, 1), (3, 4)])
def test_samples_that_cannot_be_compared_are_refused(one, other):
    with pytest.raises(ValueError, match=f"not {one} and {other}"):
        imq_mmd(sample(one, 2, 0), sample(other, 2, 1), CONSTANTS)
