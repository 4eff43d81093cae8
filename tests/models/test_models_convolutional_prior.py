"""The convolutional autoregressive prior against full masked kernels and autograd's Jacobian."""

import math

import pytest
import torch
from torch.nn import functional as F

from vaebench.models.convolutional_prior import ConvolutionalPrior, MaskedNetwork
from vaebench.models.weight_norm import WeightNormalised, initialise

F64 = torch.float64
SHAPE = (2, 4, 3)
LATENT = math.prod(SHAPE)


def prior(flows=2, shape=SHAPE, channels=4):
    """Weights that make its flows bend."""
    torch.manual_seed(0)
    made = ConvolutionalPrior(shape, channels, flows).double()
    with torch.no_grad():
        for layer in made.modules():
            if isinstance(layer, WeightNormalised):
                layer.gain.add_(0.5)
                layer.bias.normal_(std=0.3)
    return made


def codes(*leading, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*leading, LATENT, dtype=F64, generator=generator)


def test_the_papers_prior_has_the_papers_size():
    with torch.device("meta"):
        made = ConvolutionalPrior((16, 8, 8), 128, 8)
    kept = sum(weight.numel() for weight in made.parameters())
    networks = [network for network in made.modules() if isinstance(network, MaskedNetwork)]
    assert len(networks) == 16
    row_left_out = 3 * (16 * 128 + 2 * 128 * 128 + 128 * 16 + 16 * 16)
    assert kept + len(networks) * row_left_out == 5_358_592


def full_network(network, z, *, turned):
    """In the words of the protocol: 3x3 kernels under masks, turned by 180 degrees if `turned`."""

    def masked(h, layer, centre):
        mask = torch.ones(3, 3, dtype=F64)
        mask[1, 1] = float(centre)
        mask[1, 2] = mask[2] = 0
        full = torch.full((*layer.direction.shape[:2], 3, 3), 77.0, dtype=F64)  # masked: no matter
        full[:, :, :2] = layer.direction
        full = full * mask
        norms = full.flatten(1).norm(dim=1)
        full = full * (layer.gain.exp() / (norms + 1e-8)).view(-1, 1, 1, 1)
        return F.conv2d(h, full.flip(2, 3) if turned else full, layer.bias, padding=1)

    h = masked(z, network.first, False).relu()
    for layer in network.hidden:
        h = (masked(h, layer, True) + h).relu()
    return masked(h, network.last, True) + masked(z, network.direct, False)


def test_it_is_the_prior_of_the_protocol():
    made, z = prior(4), codes(5)
    h, log_slope = z.view(5, *SHAPE), torch.zeros(5, dtype=F64)
    for number, flow in enumerate(made.flows):
        turned = number % 2 == 0
        shift = full_network(flow.shift, h, turned=turned)
        log_variance = full_network(flow.log_variance, h, turned=turned)
        h = shift + h * (0.5 * log_variance).exp()
        log_slope = log_slope + 0.5 * log_variance.flatten(1).sum(1)
    noise, found = made.to_noise(z)
    torch.testing.assert_close(noise.view(5, *SHAPE), h, rtol=1e-11, atol=1e-11)
    torch.testing.assert_close(found, log_slope, rtol=1e-11, atol=1e-11)
    standard = torch.distributions.Normal(0.0, 1.0).log_prob(h).flatten(1).sum(1)
    torch.testing.assert_close(made.log_prob(z), standard + log_slope, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("flows", [1, 2, 3])
def test_the_log_determinant_is_that_of_autograds_jacobian(flows):
    made = prior(flows)
    for z in codes(3):
        jacobian = torch.autograd.functional.jacobian(lambda given: made.to_noise(given)[0], z)
        _, expected = torch.linalg.slogdet(jacobian)
        found = made.to_noise(z)[1]
        assert abs(expected) > 0.1
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_a_position_sees_the_positions_before_it_that_the_kernels_reach():
    """In all channels; to the right a kernel reaches a column for each row that it goes up."""
    made, (height, width) = prior(1, channels=8), SHAPE[1:]
    z, positions = codes().view(1, *SHAPE), height * width
    row, column = torch.arange(positions) // width, torch.arange(positions) % width
    up, right = row[:, None] - row, column - column[:, None]
    reached = ((up > 0) & (right <= up)) | ((up == 0) & (right < 0))
    for network in (made.flows[0].shift, made.flows[0].log_variance):
        jacobian = torch.autograd.functional.jacobian(network, z).view(2, positions, 2, positions)
        seen = (jacobian != 0).movedim(2, 1).flatten(0, 1)
        assert all(torch.equal(of_channels, reached) for of_channels in seen)


def test_all_flows_together_have_every_position_depend_on_every_other():
    made = prior(2)
    jacobian = torch.autograd.functional.jacobian(lambda given: made.to_noise(given)[0], codes())
    assert (jacobian != 0).double().mean() > 0.9


@pytest.mark.parametrize("flows", [1, 2, 3])
def test_what_is_drawn_comes_of_the_noise(flows):
    made = prior(flows)
    torch.manual_seed(5)
    z = made.sample(7, torch.device("cpu"))
    assert z.shape == (7, LATENT) and z.dtype == F64 and not z.requires_grad
    torch.manual_seed(5)
    noise = torch.randn(7, LATENT).double()
    torch.testing.assert_close(made.to_noise(z)[0], noise, rtol=1e-10, atol=1e-10)


def test_its_density_is_that_of_what_is_drawn():
    """One position of two channels: the flows are affine, so z is Gaussian with a known density."""
    made = prior(2, shape=(2, 1, 1)).float()
    torch.manual_seed(0)
    z = made.sample(20_000, torch.device("cpu"))
    normal = torch.distributions.Normal(z.mean(0), z.std(0))
    points = 0.5 * torch.randn(10, 2)
    found = made.log_prob(points)
    torch.testing.assert_close(found, normal.log_prob(points).sum(1), rtol=0, atol=0.05)


def test_leading_axes_are_kept():
    made, z = prior(), codes(3, 2)
    found = made.log_prob(z)
    assert found.shape == (3, 2)
    torch.testing.assert_close(found[1, 1], made.log_prob(z[1, 1]))
    assert made.log_prob(z[1, 1]).shape == ()


def test_after_the_pass_over_data_every_layer_has_mean_0_and_deviation_01():
    torch.manual_seed(0)
    made, z = ConvolutionalPrior(SHAPE, 4, 2).double(), 3 * codes(50) + 1
    initialise(made, lambda: made.log_prob(z))
    outputs = []
    for layer in made.modules():
        if isinstance(layer, WeightNormalised):
            layer.register_forward_hook(lambda _, __, found: outputs.append(found))
    made.log_prob(z)
    assert len(outputs) == 2 * 2 * 5
    for found in outputs:
        std, mean = torch.std_mean(found, (0, 2, 3))
        torch.testing.assert_close(mean, torch.zeros_like(mean), rtol=0, atol=1e-10)
        torch.testing.assert_close(std, torch.full_like(std, 0.1), rtol=1e-3, atol=0)


def test_there_is_no_density_by_dimension():
    with pytest.raises(TypeError, match="no product"):
        prior().log_prob_by_dimension(codes())
