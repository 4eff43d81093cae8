"""The residual encoder: size, layers against a reference, and its start."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from vaebench.models.resnet import ResNetEncoder

F64 = torch.float64


def images(shape, count=4):
    generator = torch.Generator().manual_seed(1)
    return torch.rand(count, *shape, dtype=F64, generator=generator).round()


def test_the_papers_network_has_the_papers_size():
    with torch.device("meta"):
        encoder = ResNetEncoder((1, 28, 28), 64, 512)
        linear = nn.Linear(encoder.features, 64)
    counted = sum(weight.numel() for part in (encoder, linear) for weight in part.parameters())
    assert counted == 752_448


def reference(ours, x):
    """The same network, a line a layer."""
    for block in ours.blocks:
        shortcut = block.shortcut_norm(F.conv2d(x, block.shortcut.weight, stride=2))
        h = F.elu(block.first_norm(F.conv2d(x, block.first.weight, stride=2, padding=1)))
        h = block.second_norm(F.conv2d(h, block.second.weight, padding=1))
        x = F.elu(h + shortcut)
    return F.elu(ours.norm(F.conv2d(x, ours.last.weight))).flatten(1)


@pytest.mark.parametrize("shape", [(1, 28, 28), (1, 4, 4), (3, 17, 9)])
@pytest.mark.parametrize("training", [True, False])
def test_it_is_the_network_of_the_protocol(shape, training):
    torch.manual_seed(0)
    ours = ResNetEncoder(shape, 3, 5).double().train(training)
    theirs = copy.deepcopy(ours)
    x = images(shape)
    found, expected = ours(x), reference(theirs, x)
    assert found.shape == (4, 5) and ours.features == 5
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
    found.square().sum().backward()
    expected.square().sum().backward()
    for (name, weight), wanted in zip(ours.named_parameters(), theirs.parameters(), strict=True):
        assert weight.grad.any(), name
        torch.testing.assert_close(weight.grad, wanted.grad, rtol=0, atol=1e-10, msg=name)
    for tensor, wanted in zip(ours.buffers(), theirs.buffers(), strict=True):
        torch.testing.assert_close(tensor, wanted, rtol=0, atol=1e-10)


def test_it_starts_as_the_authors_code():
    torch.manual_seed(0)
    for layer in ResNetEncoder((1, 28, 28), 32, 64).modules():
        if isinstance(layer, nn.Conv2d):
            assert layer.bias is None
            expected = (2 / (layer.kernel_size[0] ** 2 * layer.out_channels)) ** 0.5
            error = layer.weight.numel() ** -0.5
            assert layer.weight.std().item() == pytest.approx(expected, rel=4 * error)
        elif isinstance(layer, nn.BatchNorm2d):
            assert layer.weight.eq(1).all() and not layer.bias.any()
