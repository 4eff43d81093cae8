"""The discretised mixture of logistics against sums over all values and against decimals."""

import math
from decimal import Decimal, localcontext

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from vaebench.estimators.logistic_mixture import log_likelihood, most_likely, sample

F64 = torch.float64
VALUES = 2 * torch.arange(256, dtype=F64) / 255 - 1
CERTAIN = 60.0  # a mean so far out that the last value has the probability one
law = settings(deadline=None, max_examples=15)
seeds = st.integers(0, 2**32 - 1)


def parts(parameters):
    """Logits [M], and means, log scales and coefficients before the tanh, [M, 3] each."""
    count = len(parameters) // 10
    return parameters[:count], *parameters[count:].view(3, count, 3)


def random_parameters(seed, count=3, shape=(), log_scale=(-7.5, 0.5)):
    """[*shape, 10 M], means within and without [-1, 1]."""
    generator = torch.Generator().manual_seed(seed)
    found = torch.randn(*shape, 10 * count, dtype=F64, generator=generator)
    uniform = torch.rand(*shape, 3 * count, dtype=F64, generator=generator)
    low, high = log_scale
    found[..., 4 * count : 7 * count] = low + (high - low) * uniform
    return found


def of_pixels(parameters, x):
    """log p of pixels: parameters [10 M], x [..., 3] -> [...]."""
    parameters = parameters.expand(*x.shape[:-1], -1)
    return log_likelihood(parameters[..., None, None], x[..., None, None])


def grid(red, green, blue):
    """Pixels of all combinations of values, [R, G, B, 3]."""
    return torch.stack(torch.meshgrid(red, green, blue, indexing="ij"), -1)


def made_certain(parameters, colours):
    """The same with the last value of these colours sure."""
    found = parameters.clone()
    for values, what in zip(parts(found)[1:3], (CERTAIN, -7.0), strict=True):
        values[:, colours] = what
    return found


def decimals(parameters, x):
    """log p of one pixel with 300 digits, by differences of sigmoids."""
    with localcontext() as context:
        context.prec = 300
        logits, means, log_scales, coefficients = (
            [[Decimal(v) for v in row] for row in values.view(len(parameters) // 10, -1).tolist()]
            for values in parts(parameters)
        )
        red, green, _ = colours = [Decimal(value) for value in x.tolist()]
        weights = [row[0].exp() for row in logits]
        half = 1 / Decimal(255)
        total = Decimal(0)
        for component, weight in enumerate(weights):
            c = [(1 - (-2 * v).exp()) / (1 + (-2 * v).exp()) for v in coefficients[component]]
            m = means[component]
            m = [m[0], m[1] + c[0] * red, m[2] + c[1] * red + c[2] * green]
            mass = weight / sum(weights)
            for value, mean, log_scale in zip(colours, m, log_scales[component], strict=True):
                scale = log_scale.exp()
                above = 1 / (1 + (-(value - mean + half) / scale).exp())
                below = 1 / (1 + (-(value - mean - half) / scale).exp())
                if value > 1 - half:
                    above = Decimal(1)
                if value < -1 + half:
                    below = Decimal(0)
                mass *= above - below
            total += mass
        return float(total.ln())


@law
@given(seeds)
def test_the_256_values_of_each_colour_have_the_sum_one_given_the_others(seed):
    parameters = random_parameters(seed)
    one, at = torch.ones(1, dtype=F64), torch.Generator().manual_seed(seed)
    red, green = VALUES[torch.randint(256, (2, 1), generator=at)]
    sure_of_blue = made_certain(parameters, [2])
    sure_of_both = made_certain(parameters, [1, 2])
    reds = of_pixels(sure_of_both, grid(VALUES, one, one))
    greens = of_pixels(sure_of_blue, grid(red, VALUES, one))
    blues = of_pixels(parameters, grid(red, green, VALUES))
    given_nothing = torch.zeros((), dtype=F64)
    given_red = of_pixels(sure_of_both, grid(red, one, one))
    given_red_and_green = of_pixels(sure_of_blue, grid(red, green, one))
    for values, expected in (
        (reds, given_nothing),
        (greens, given_red),
        (blues, given_red_and_green),
    ):
        total = values.flatten().logsumexp(0)
        torch.testing.assert_close(total, expected.reshape(()), rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("log_scale", [(-5.0, -4.0), (-3.0, 1.0)])
def test_it_is_the_logarithm_of_the_mass_in_many_digits(count, log_scale):
    generator = torch.Generator().manual_seed(count)
    edges = torch.tensor([0, 1, 254, 255])
    for seed in range(4):
        parameters = random_parameters(seed, count, log_scale=log_scale)
        x = VALUES[torch.randint(256, (3,), generator=generator)]
        x[seed % 3] = VALUES[edges[seed]]
        found = of_pixels(parameters, x).item()
        assert found == pytest.approx(decimals(parameters, x), rel=1e-11)


def test_log_scales_are_held_above_minus_7():
    held, below = random_parameters(0, 2), random_parameters(0, 2)
    parts(held)[2][:], parts(below)[2][:] = -7.0, -9.0
    x = VALUES[[3, 77, 200]]
    assert of_pixels(held, x) == of_pixels(below, x)
    parts(held)[2][:] = -6.9
    assert of_pixels(held, x) != of_pixels(below, x)


def test_where_the_mass_is_not_tiny_it_is_the_authors_difference_of_sigmoids():
    parameters = random_parameters(0, 1, log_scale=(-2.0, -1.0))
    x = grid(VALUES[1:-1:7], VALUES[3:250:9], VALUES[5:250:9])
    _, means, log_scales, coefficients = parts(parameters)
    means *= 0.1
    red, green, _ = x.unbind(-1)
    moved = coefficients[0].tanh()
    zero = torch.zeros_like(red)
    mean = means[0] + torch.stack([zero, moved[0] * red, moved[1] * red + moved[2] * green], -1)
    scale = log_scales[0].exp()
    mass = torch.sigmoid((x - mean + 1 / 255) / scale) - torch.sigmoid((x - mean - 1 / 255) / scale)
    usual = (mass > 1e-5).all(-1)
    assert usual.double().mean() > 0.5
    expected = mass.log().sum(-1)[usual]
    torch.testing.assert_close(of_pixels(parameters, x)[usual], expected, rtol=1e-9, atol=0)


def test_pixels_are_summed_and_leading_axes_broadcast():
    parameters = random_parameters(0, 2, shape=(4, 3, 5, 6)).movedim(-1, -3)  # [S, B, 20, H, W]
    x = VALUES[torch.randint(256, (3, 3, 5, 6), generator=torch.Generator().manual_seed(0))]
    found = log_likelihood(parameters, x)
    assert found.shape == (4, 3)
    for sample_, image in ((0, 0), (3, 1), (2, 2)):
        expected = sum(
            of_pixels(parameters[sample_, image, :, row, column], x[image, :, row, column]).item()
            for row in range(5)
            for column in range(6)
        )
        assert found[sample_, image].item() == pytest.approx(expected, rel=1e-12)


def test_a_component_at_every_value_gives_eight_bits():
    """Each value of red by one of 256 components, and the other colours sure."""
    parameters = torch.zeros(2560, dtype=F64)
    logits, means, log_scales, _ = parts(parameters)
    means[:, 0], means[:, 1:], log_scales[:] = VALUES, CERTAIN, -7.0
    assert not logits.any()
    one = torch.ones(1, dtype=F64)
    found = of_pixels(parameters, grid(VALUES, one, one)).flatten()
    expected = torch.full((256,), -8 * math.log(2), dtype=F64)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)


def test_single_precision_stays_close_and_finite():
    parameters = random_parameters(3, 4, shape=(50,))
    means = parameters[:, 4:16]
    means[:25] *= 30  # far outside
    parameters[:5, 16:28] = 8.0  # and very wide
    x = VALUES[torch.randint(256, (50, 3), generator=torch.Generator().manual_seed(0))]
    x = x[..., None, None]
    exact = log_likelihood(parameters[..., None, None], x)
    single = parameters.float().requires_grad_()
    found = log_likelihood(single[..., None, None], x.float())
    torch.testing.assert_close(found.double(), exact, rtol=2e-4, atol=0)
    found.sum().backward()
    assert single.grad.isfinite().all()


def test_gradients_are_those_of_finite_differences():
    parameters = random_parameters(1, 2, shape=(6,), log_scale=(-4.0, 0.0))[..., None, None]
    x = VALUES[torch.tensor([[0, 10, 255], [255, 0, 3], [9, 99, 200]] * 2)][..., None, None]
    parameters.requires_grad_()
    assert torch.autograd.gradcheck(lambda given: log_likelihood(given, x), parameters)


def narrow():
    """Two components of a few values each, the second at an end."""
    parameters = torch.zeros(20, dtype=F64)
    logits, means, log_scales, coefficients = parts(parameters)
    logits[:] = torch.tensor([0.5, -0.2])
    means[0], means[1] = VALUES[torch.tensor([100, 120, 130])], VALUES[torch.tensor([0, 254, 1])]
    coefficients[:] = torch.tensor([[0.7, -0.4, 0.5], [0.1, 0.9, -1.0]])
    log_scales[:] = -5.5
    return parameters


def test_colours_are_drawn_as_often_as_they_are_probable():
    parameters, count = narrow(), 20_000
    torch.manual_seed(0)
    drawn = sample(parameters.expand(4, count // 4, 20))
    assert drawn.shape == (4, count // 4, 3)
    bytes_ = (255 * (drawn + 1) / 2).flatten(0, 1)
    codes = bytes_.round().long()
    torch.testing.assert_close(codes.double(), bytes_, rtol=0, atol=1e-9)
    pixels, counts = codes.unique(dim=0, return_counts=True)
    expected = count * of_pixels(parameters, VALUES[pixels]).exp()
    often = expected >= 5
    assert often.sum() > 100
    found = torch.cat([counts[often], count - counts[often].sum()[None]])
    wanted = torch.cat([expected[often], count - expected[often].sum()[None]])
    assert wanted[-1] > 5  # all others together
    assert chisquare(found, wanted).pvalue > 1e-3


def test_red_at_the_ends_takes_all_that_lies_beyond():
    parameters = narrow()
    parts(parameters)[0][0] = -50  # only the second component, whose red is at the first value
    torch.manual_seed(0)
    red = sample(parameters.expand(4000, 20))[:, 0]
    one = torch.ones(1, dtype=F64)
    expected = of_pixels(made_certain(parameters, [1, 2]), grid(VALUES[:1], one, one)).exp().item()
    assert 0.6 < expected < 0.8
    error = (expected * (1 - expected) / 4000) ** 0.5
    assert abs((red == -1).double().mean().item() - expected) < 4 * error


def test_the_likeliest_is_the_mean_of_the_component_of_the_largest_weight():
    parameters = narrow()
    _, means, _, coefficients = parts(parameters)
    c = coefficients[0].tanh()
    red = means[0, 0]
    green = VALUES[(VALUES - (means[0, 1] + c[0] * red)).abs().argmin()]
    blue = VALUES[(VALUES - (means[0, 2] + c[1] * red + c[2] * green)).abs().argmin()]
    expected = torch.stack([red, green, blue])
    found = most_likely(torch.stack([parameters, parameters]))
    torch.testing.assert_close(found, expected.expand(2, 3))
    means[0, 1], means[0, 2] = 7.0, -7.0  # beyond the ends
    found = most_likely(parameters)
    torch.testing.assert_close(found, torch.stack([red, *torch.tensor([1.0, -1.0], dtype=F64)]))
