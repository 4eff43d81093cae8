"""Weight-normalised layers, plain and masked, and how they begin."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from vaebench.models.weight_norm import Convolution, Linear, TransposedConvolution, initialise

MASK = torch.tensor([[1.0, 0.0, 1.0], [1.0, 1.0, 1.0], [0.0, 0.0, 0.0]])
LAYERS = {
    "linear": (lambda: Linear(5, 4), (20, 5)),
    "masked-linear": (lambda: Linear(3, 3, mask=MASK), (20, 3)),
    "convolution": (lambda: Convolution(2, 3, 3, padding=1), (6, 2, 5, 5)),
    "masked-convolution": (lambda: Convolution(2, 3, 3, mask=MASK, padding=1), (6, 2, 5, 5)),
    "transposed": (lambda: TransposedConvolution(2, 3, 3, stride=2), (6, 2, 5, 5)),
}


@pytest.fixture(params=LAYERS)
def case(request):
    torch.manual_seed(0)
    make, shape = LAYERS[request.param]
    return make(), 2 * torch.randn(shape) + 1


def units_first(layer, outputs):
    return outputs.movedim(layer.units_of_outputs, 0).flatten(1)


def test_a_weight_has_the_norm_of_its_gain(case):
    layer, _ = case
    norms = layer.weight.movedim(layer.units, 0).flatten(1).norm(dim=1)
    gains = layer.gain.exp() if layer.masked else layer.gain
    some = norms > 0  # but for a unit that sees nothing
    torch.testing.assert_close(norms[some], gains[some])
    assert some.sum() == len(norms) - (layer.masked and isinstance(layer, Linear))


def test_weights_begin_as_their_directions_of_spread_005(case):
    layer, _ = case
    torch.testing.assert_close(layer.weight, layer.direction)
    torch.manual_seed(0)
    wide = Linear(200, 200)
    assert wide.weight.std().item() == pytest.approx(0.05, rel=0.02)
    assert not wide.bias.any()


@pytest.mark.parametrize("case", [name for name in LAYERS if "masked" not in name], indirect=True)
def test_plain_layers_are_those_of_torch(case):
    layer, x = case
    inputs, outputs = layer.direction.shape[1], layer.direction.shape[0]
    theirs = {
        Linear: lambda: nn.Linear(inputs, outputs),
        Convolution: lambda: nn.Conv2d(inputs, outputs, 3, padding=1),
        TransposedConvolution: lambda: nn.ConvTranspose2d(outputs, inputs, 3, stride=2),
    }[type(layer)]()
    nn.utils.parametrizations.weight_norm(theirs, dim=layer.units)
    with torch.no_grad():
        layer.gain.mul_(1.7)
        layer.bias.normal_()
        shape = theirs.parametrizations.weight.original0.shape
        theirs.parametrizations.weight.original0.copy_(layer.gain.view(shape))
        theirs.parametrizations.weight.original1.copy_(layer.direction)
        theirs.bias.copy_(layer.bias)
    torch.testing.assert_close(layer(x), theirs(x))


def test_after_the_pass_over_data_outputs_have_mean_0_and_the_deviation(case):
    layer, x = case
    layer.std = 0.1
    initialise(layer, lambda: layer(x))
    outputs = units_first(layer, layer(x))
    std = outputs.std(1)
    torch.testing.assert_close(outputs.mean(1), torch.zeros(len(outputs)), atol=1e-5, rtol=0)
    expected = torch.full_like(std, 0.1)
    if layer.masked and isinstance(layer, Linear):
        expected[2] = 0.0  # the unit that sees nothing is constant
    torch.testing.assert_close(std, expected, atol=0, rtol=1e-4)


def test_layers_are_initialised_one_after_the_other():
    torch.manual_seed(0)
    network = nn.Sequential(Linear(4, 8), nn.ELU(), Linear(8, 3, std=0.1))
    x = 5 * torch.randn(400, 4) + 2
    initialise(network, lambda: network(x))
    hidden, outputs = network[0](x), network(x)
    torch.testing.assert_close(hidden.std(0), torch.ones(8), rtol=1e-4, atol=0)
    torch.testing.assert_close(outputs.std(0), torch.full((3,), 0.1), rtol=1e-4, atol=0)
    torch.testing.assert_close(outputs.mean(0), torch.zeros(3), atol=1e-5, rtol=0)
    before = network[0].gain.clone()
    network(x)  # no hook is left
    assert torch.equal(network[0].gain, before)


def test_masked_weights_are_zero_and_have_no_gradient():
    layer = Linear(3, 3, mask=MASK)
    x = torch.randn(7, 3)
    layer(x).square().sum().backward()
    assert not layer.weight[MASK == 0].any()
    assert not layer.direction.grad[MASK == 0].any()
    assert all(weight.grad.isfinite().all() for weight in layer.parameters())
    assert layer.direction.grad[MASK == 1].all()


def test_gradients_are_those_of_the_formula(case):
    """By finite differences, in float64."""
    layer, x = case
    layer, x = layer.double(), x[:3].double()
    names = ("direction", "gain", "bias")
    values = [getattr(layer, name).detach().requires_grad_() for name in names]

    def outputs(*parameters):
        given = dict(zip(names, parameters, strict=True))
        return torch.func.functional_call(layer, given, (x,))

    if layer.masked and isinstance(layer, Linear):
        values[0].data += 1 - MASK.double()  # masked entries count nowhere
        values[0].data[2] = 1  # and a unit that sees nothing has no direction
    assert torch.autograd.gradcheck(outputs, values)


def test_a_masked_convolution_sees_what_its_mask_shows():
    layer = Convolution(2, 3, 3, mask=MASK, padding=1)
    assert torch.equal(layer.weight, layer.weight * MASK)
    x = torch.randn(1, 2, 5, 5)
    expected = F.conv2d(x, layer.direction * MASK, padding=1)
    torch.testing.assert_close(layer(x), expected)
