"""The autoregressive prior: masks by gradients, its density by autograd and by integration, and its
draws against an inversion by whole passes."""

import math

import pytest
import torch
from normalised import layers_of, outputs_of_layers
from torch.autograd.functional import jacobian
from torch.distributions import Normal

from vaebench.models.autoregressive_prior import (
    AutoregressiveFlow,
    AutoregressivePrior,
    hidden_degrees,
)
from vaebench.models.weight_norm import initialise

F64 = torch.float64
LATENT = 5


def normal(*size, seed=1):
    return torch.randn(*size, dtype=F64, generator=torch.Generator().manual_seed(seed))


def prior(latent=LATENT, hidden=12, flows=3, spread=1.0):
    """In double precision, its layers with outputs of about this spread, so far from the identity
    as none begins."""
    torch.manual_seed(0)
    made = AutoregressivePrior(latent, hidden, flows).double()
    with torch.no_grad():
        for layer in layers_of(made):
            layer.gain.add_(math.log(4 * spread))
            layer.bias.normal_(std=0.5 * spread)
    return made


# Masks.


def test_the_papers_prior_has_the_papers_size():
    with torch.device("meta"):
        made = AutoregressivePrior(32, 320, 8)
    assert sum(parameter.numel() for parameter in made.parameters()) == 356_352


def test_the_degrees_are_those_of_the_authors():
    degrees = hidden_degrees(32, 320)
    assert degrees.tolist() == [math.ceil((i + 1) * 31 / 320) for i in range(320)]
    assert set(degrees.bincount()[1:].tolist()) == {10, 11} and degrees.max() == 31
    assert hidden_degrees(2, 3).tolist() == [1, 1, 1]
    assert hidden_degrees(9, 3).tolist() == [3, 6, 8]


@pytest.mark.parametrize("backwards", [False, True])
def test_shift_and_scale_depend_on_the_dimensions_before_and_on_no_other(backwards):
    """In the natural order of dimensions, and in the reversed one of every second flow."""
    torch.manual_seed(0)
    flow = AutoregressiveFlow(LATENT, 40).double()

    def networks(z):
        """Shift and logarithm of the slope, [2, K]."""
        noise, log_slopes = flow(z.flip(-1) if backwards else z)
        seen = z.flip(-1) if backwards else z
        both = torch.stack([noise - seen * log_slopes.exp(), log_slopes])
        return both.flip(-1) if backwards else both

    below = torch.ones(LATENT, LATENT, dtype=torch.bool).tril(-1)
    seen = torch.zeros(2, LATENT, LATENT, dtype=torch.bool)
    for seed in range(20):
        slopes = jacobian(networks, 2 * normal(LATENT, seed=seed))
        seen |= slopes.abs() > 1e-12  # the shift is what is left of a difference
    assert torch.equal(seen, (below.t() if backwards else below).expand_as(seen))


@pytest.mark.parametrize("flows", [1, 2, 3])
def test_the_first_flow_sees_the_dimensions_backwards_and_the_next_one_forwards(flows):
    made, z = prior(flows=flows), normal(4, LATENT)
    expected = z
    for number, flow in enumerate(made.flows):
        backwards = [-1] if number % 2 == 0 else []
        expected = flow(expected.flip(backwards))[0].flip(backwards)
    found = made.to_noise(z)[0]
    torch.testing.assert_close(found.flip(-1) if flows % 2 else found, expected, rtol=0, atol=0)


def test_the_first_dimension_is_shifted_and_scaled_by_constants():
    made = prior(flows=1)
    slopes = jacobian(lambda z: made.to_noise(z)[0], normal(LATENT))  # of z, from last to first
    flow = made.flows[0]
    scale = flow.scale.bias[0] + flow.beside.bias[LATENT]
    expected = torch.zeros(LATENT, dtype=F64)
    expected[-1] = torch.exp(0.5 * scale.detach())
    torch.testing.assert_close(slopes[0], expected)


def test_gradients_reach_every_weight_that_the_mask_leaves_and_are_numbers():
    """But of a unit with a single weight, whose gain is all of it."""
    made = prior(flows=2, hidden=20)
    for flow in made.flows:
        flow.hidden.bias.data.zero_()  # so that no unit sleeps
    made.log_prob(normal(200, LATENT)).sum().backward()
    blind = 0
    for layer in layers_of(made):
        assert all(parameter.grad.isfinite().all() for parameter in layer.parameters())
        weights = layer.mask.sum(1)
        assert not layer.direction.grad[layer.mask == 0].any()
        free = layer.mask.bool() & (weights > 1)[:, None]
        assert layer.direction.grad[free].abs().min() > 1e-6
        assert torch.equal(layer.gain.grad != 0, weights > 0) and layer.bias.grad.all()
        blind += int((weights == 0).sum())
    assert blind == 2 * 4  # the first outputs of three layers see nothing: one has them twice


# Density.


@pytest.mark.parametrize("flows", [1, 2, 8])
def test_the_density_is_that_of_the_change_of_variables(flows):
    made = prior(flows=flows, spread=0.5)
    for z in 1.5 * normal(4, LATENT):
        noise, log_det = made.to_noise(z)
        slopes = jacobian(lambda z: made.to_noise(z)[0], z)
        expected = torch.linalg.slogdet(slopes).logabsdet
        torch.testing.assert_close(log_det, expected, rtol=0, atol=1e-10)
        by_hand = Normal(0.0, 1.0).log_prob(noise).sum() + expected
        torch.testing.assert_close(made.log_prob(z), by_hand, rtol=0, atol=1e-10)


def test_leading_axes_go_through_as_one_batch():
    made, z = prior(), normal(2, 3, LATENT)
    noise, log_det = made.to_noise(z)
    assert noise.shape == (2, 3, LATENT) and log_det.shape == (2, 3)
    torch.testing.assert_close(made.log_prob(z)[1, 2], made.log_prob(z[1, 2]))


def test_in_two_dimensions_the_density_integrates_to_1():
    made = prior(latent=2, hidden=7, flows=4, spread=0.3)
    side = torch.linspace(-20, 20, 401, dtype=F64)
    with torch.no_grad():
        density = made.log_prob(torch.cartesian_prod(side, side)).exp().view(401, 401)
    edges = torch.cat([density[0], density[-1], density[:, 0], density[:, -1]])
    assert edges.max() < 1e-9
    total = torch.trapezoid(torch.trapezoid(density, side), side)
    assert total.item() == pytest.approx(1, abs=1e-6)
    assert (density - density.flip(0)).abs().max() > 0.01  # no Gaussian around zero


# Draws.


@pytest.mark.parametrize("dtype", [torch.float32, F64])
def test_the_density_finds_the_noise_of_a_draw(dtype):
    """At the paper's size, after the pass over data."""
    torch.manual_seed(0)
    made = AutoregressivePrior(32, 320, 8).to(dtype)
    data = 2 * normal(100, 32).to(dtype) + 1
    initialise(made, lambda: made.log_prob(data))
    torch.manual_seed(3)
    z = made.sample(20, torch.device("cpu"))
    torch.manual_seed(3)
    noise = torch.randn(20, 32).to(dtype)
    assert z.shape == (20, 32) and z.dtype == dtype and not z.requires_grad
    with torch.no_grad():
        found, log_det = made.to_noise(z)
    torch.testing.assert_close(found, noise, rtol=0, atol=1e-4 if dtype == torch.float32 else 1e-12)
    assert log_det.abs().mean() > 0.5


def test_draws_are_solved_for_coordinate_by_coordinate():
    """By whole passes of the flows, of which each gives one coordinate."""
    made, noise = prior(), normal(6, LATENT)
    expected = noise
    with torch.no_grad():
        for flow in reversed(made.flows):
            z = torch.zeros_like(expected)
            for k in range(LATENT):
                at_zero, log_slopes = flow(torch.where(torch.arange(LATENT) < k, z, 0.0))
                z[:, k] = (expected[:, k] - at_zero[:, k]) / log_slopes[:, k].exp()
            expected = z.flip(-1)
    torch.testing.assert_close(made.from_noise(noise), expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(made.to_noise(expected)[0], noise, rtol=0, atol=1e-10)


# How it begins, and what it refuses.


def test_after_the_pass_over_data_every_layer_gives_mean_0_and_deviation_01():
    made, z = prior(spread=100), 2 * normal(300, LATENT) + 1  # far above the 1e-6 of the code
    for layer in layers_of(made):
        layer.bias.data.zero_()  # as they begin: a unit that sees nothing is only moved
    initialise(made, lambda: made.log_prob(z))
    layers, found = layers_of(made), outputs_of_layers(made, lambda: made.log_prob(z))
    assert len(found) == 3 * 4
    for layer, outputs in zip(layers, found, strict=True):
        torch.testing.assert_close(outputs.mean(1), torch.zeros(len(outputs), dtype=F64))
        expected = torch.where(layer.mask.sum(1) > 0, 0.1, 0.0).double()
        torch.testing.assert_close(outputs.std(1), expected, rtol=0, atol=1e-5)


def test_under_autocast_the_density_stays_in_float32():
    made, z = prior(spread=0.3).float(), normal(4, LATENT).float()
    expected = made.log_prob(z)
    with torch.autocast("cpu", torch.bfloat16):
        found = made.log_prob(z)
    assert found.dtype == torch.float32 and not torch.equal(found, expected)
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0)


def test_it_is_no_product_over_dimensions():
    with pytest.raises(TypeError, match="no product"):
        prior().log_prob_by_dimension(normal(4, LATENT))


def test_one_dimension_cannot_be_autoregressive():
    with pytest.raises(ValueError, match="latent"):
        AutoregressivePrior(1, 10, 2)


def test_masks_are_no_part_of_what_is_saved():
    assert all("mask" not in name for name in prior().state_dict())
