"""The DenseNet of MAE's CIFAR-10 models: size, layers against a reference, and its start."""

import pytest
import torch
from torch.nn import functional as F

from vaebench.models.densenet import DenseNetEncoder, DenseNetHead
from vaebench.models.weight_norm import WeightNormalised, initialise

F64 = torch.float64


def made(growth=(2, 3, 1), features=5, channels=4):
    torch.manual_seed(0)
    encoder = DenseNetEncoder((3, 8, 8), growth, features).double()
    return encoder, DenseNetHead(features, channels).double()


def images(count=6):
    generator = torch.Generator().manual_seed(1)
    return 2 * torch.rand(count, 3, 8, 8, dtype=F64, generator=generator) - 1


def test_the_papers_network_has_the_papers_size():
    with torch.device("meta"):
        encoder = DenseNetEncoder((3, 32, 32), (15, 16, 16), 96)
        head = DenseNetHead(96, 16)
    counted = sum(weight.numel() for part in (encoder, head) for weight in part.parameters())
    assert counted == 302_614


def reference(encoder, x):
    """The encoder in the words of the protocol, its layers taken in their order."""
    layers = [layer for layer in encoder.modules() if isinstance(layer, WeightNormalised)]
    ahead = iter(layers)

    def convolution(h, **how):
        layer = next(ahead)
        return F.conv2d(h, layer.weight, layer.bias, **how)

    def dense(h):
        new = convolution(F.elu(convolution(h)), padding=1)
        return F.elu(torch.cat([h, new], 1))

    for _ in range(3):
        x = dense(x)
    x = F.elu(convolution(x, stride=2, padding=1))
    for _ in range(3):
        x = dense(x)
    x = F.elu(convolution(x, stride=2, padding=1))
    for _ in range(6):
        x = dense(x)
    x = F.elu(convolution(x))
    assert next(ahead, None) is None
    return x


def test_it_is_the_network_of_the_protocol():
    encoder, head = made()
    x = images()
    h = encoder(x)
    assert h.shape == (6, 5, 2, 2)
    torch.testing.assert_close(h, reference(encoder, x), rtol=1e-12, atol=1e-12)
    convolution = head.convolution
    outputs = F.conv2d(h, convolution.weight, convolution.bias).reshape(6, 2, 4 * 2 * 2)
    posterior = head(h)
    torch.testing.assert_close(posterior.mean, outputs[:, 0], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(posterior.log_variance, outputs[:, 1], rtol=1e-12, atol=1e-12)


def test_log_variances_are_held_between_minus_7_and_7():
    _, head = made()
    with torch.no_grad():
        head.convolution.gain.mul_(100)
    h = torch.randn(6, 5, 2, 2, dtype=F64, generator=torch.Generator().manual_seed(0))
    log_variance = head(h).log_variance
    assert log_variance.min() == -7 and log_variance.max() == 7
    assert head(h).mean.abs().max() > 7


def test_every_weight_has_a_gradient():
    encoder, head = made()
    posterior = head(encoder(images()))
    (posterior.mean.square().sum() + posterior.log_variance.square().sum()).backward()
    for part in (encoder, head):
        assert all(weight.grad.any() for weight in part.parameters())


def test_after_the_pass_over_data_every_layer_has_mean_0_and_deviation_1():
    encoder, head = made()
    x = images(20)
    initialise(torch.nn.ModuleList([encoder, head]), lambda: head(encoder(x)))
    outputs = []
    for part in (encoder, head):
        for layer in part.modules():
            if isinstance(layer, WeightNormalised):
                layer.register_forward_hook(lambda _, __, found: outputs.append(found))
    head(encoder(x))
    assert len(outputs) == 2 * 12 + 2 + 1 + 1
    for found in outputs:
        std, mean = torch.std_mean(found, (0, 2, 3))
        torch.testing.assert_close(mean, torch.zeros_like(mean), rtol=0, atol=1e-10)
        torch.testing.assert_close(std, torch.ones_like(std), rtol=1e-4, atol=0)


def test_stages_have_a_growth_each():
    with pytest.raises(ValueError, match="zip"):
        DenseNetEncoder((3, 8, 8), (2, 2), 5)
