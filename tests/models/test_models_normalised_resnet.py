"""MAE's residual networks: size, layers against a reference, and how they begin."""

import pytest
import torch
from fixtures import within
from normalised import outputs_of_layers
from torch.nn import functional as F

from vaebench.models.normalised_resnet import (
    NormalisedGaussianHead,
    NormalisedResNetDecoder,
    NormalisedResNetEncoder,
)
from vaebench.models.weight_norm import initialise

F64 = torch.float64
LATENT = 3
shapes = pytest.mark.parametrize("shape", [(1, 28, 28), (1, 4, 4), (3, 17, 9)])


def count(*modules):
    return sum(weight.numel() for module in modules for weight in module.parameters())


def normal(*size, seed=1):
    return torch.randn(*size, dtype=F64, generator=torch.Generator().manual_seed(seed))


def images(shape, size=4):
    return (normal(size, *shape) > 0).double()


def perturbed(module):
    """In double precision, with gains and biases as after some training."""
    module.double()
    with torch.no_grad():
        for name, weight in module.named_parameters():
            if name.endswith("gain"):
                weight.mul_(1 + torch.rand_like(weight))
            elif name.endswith("bias"):
                weight.normal_(std=0.3)
    return module


def encoder(shape=(1, 9, 8), channels=(3, 2, 4), features=5):
    torch.manual_seed(0)
    return perturbed(NormalisedResNetEncoder(shape, channels, features))


def decoder(shape=(1, 9, 8), channels=(4, 2, 3)):
    torch.manual_seed(0)
    return perturbed(NormalisedResNetDecoder(LATENT, shape, channels))


def weight(layer, units=0):
    others = [d for d in range(layer.direction.dim()) if d != units]
    norms = layer.direction.square().sum(others, keepdim=True).sqrt()
    return layer.direction / norms * layer.gain.view(norms.shape)


def test_the_papers_encoder_has_the_papers_size():
    with torch.device("meta"):
        made = NormalisedResNetEncoder((1, 28, 28), (32, 64, 64), 512)
        head = NormalisedGaussianHead(made.features, 32)
    assert count(made, head) == 703_872
    assert [block.second.direction.shape[0] for block in made.blocks] == [32, 64, 64]
    assert made.last.direction.shape == (512, 64, 4, 4)


def test_the_papers_decoder_has_the_papers_size():
    with torch.device("meta"):
        made = NormalisedResNetDecoder(32, (1, 28, 28), (64, 64, 32))
    assert count(made) == 141_327
    assert made.first.direction.shape == (32, 64, 4, 4)
    assert [block.second.direction.shape[1] for block in made.blocks] == [64, 32, 1]


@shapes
def test_the_encoder_is_the_network_of_the_protocol(shape):
    ours, x = encoder(shape), images(shape)
    h = x
    for block in ours.blocks:
        main = F.elu(F.conv2d(h, weight(block.first), block.first.bias, stride=2, padding=1))
        main = F.conv2d(main, weight(block.second), block.second.bias, padding=1)
        h = F.elu(main + F.conv2d(h, weight(block.shortcut), block.shortcut.bias, stride=2))
    expected = F.elu(F.conv2d(h, weight(ours.last), ours.last.bias)).flatten(1)
    found = ours(x)
    assert found.shape == (4, 5) and ours.features == 5
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


def upwards(h, layer, target, **options):
    """A transposed convolution to an image of this height and width."""
    stride, padding = options.get("stride", 1), options.get("padding", 0)
    kernel = layer.direction.shape[2]
    least = [(side - 1) * stride - 2 * padding + kernel for side in h.shape[2:]]
    missing = [wanted - size for wanted, size in zip(target, least, strict=True)]
    kernels = weight(layer, units=1)
    return F.conv_transpose2d(h, kernels, layer.bias, output_padding=missing, **options)


@shapes
def test_the_decoder_is_the_network_of_the_protocol(shape):
    ours, z = decoder(shape), normal(2, 4, LATENT)
    sizes = {
        (1, 28, 28): [(7, 7), (14, 14), (28, 28)],
        (1, 4, 4): [(1, 1), (2, 2), (4, 4)],
        (3, 17, 9): [(5, 3), (9, 5), (17, 9)],
    }[shape]
    codes = z.view(8, LATENT, 1, 1)
    h = F.elu(F.conv_transpose2d(codes, weight(ours.first, units=1), ours.first.bias))
    for block, size in zip(ours.blocks, sizes, strict=True):
        x = F.elu(h)
        main = F.elu(upwards(x, block.first, size, stride=2, padding=1))
        main = upwards(main, block.second, size, padding=1)
        h = main + upwards(x, block.shortcut, size, stride=2)
    expected = h.view(2, 4, *shape)
    torch.testing.assert_close(ours.logits(z), expected, rtol=0, atol=1e-10)
    torch.testing.assert_close(ours.mean(z), torch.sigmoid(expected), rtol=0, atol=1e-10)
    torch.testing.assert_close(ours.logits(z[0]), expected[0], rtol=0, atol=1e-10)


def test_its_pixels_are_independent_bernoullis():
    made, x, z = decoder(), images((1, 9, 8)), normal(2, 4, LATENT)
    probability = made.mean(z)
    expected = torch.where(x.bool(), probability, 1 - probability).log().sum((2, 3, 4))
    torch.testing.assert_close(made.log_prob(x, z), expected, rtol=1e-12, atol=0)
    assert made.constant_variance is None
    torch.manual_seed(0)
    with torch.no_grad():
        drawn = made.sample(z[0, 0].expand(4_000, LATENT))
    assert drawn.shape == (4_000, 1, 9, 8) and ((drawn == 0) | (drawn == 1)).all()
    assert within(drawn, probability[0, 0].detach())


def test_the_head_gives_means_and_log_variances():
    torch.manual_seed(0)
    head, h = perturbed(NormalisedGaussianHead(6, LATENT)), normal(4, 6)
    posterior = head(h)
    expected = h @ weight(head.linear).t() + head.linear.bias
    torch.testing.assert_close(posterior.mean, expected[:, :LATENT])
    torch.testing.assert_close(posterior.log_variance, expected[:, LATENT:])


def test_under_autocast_posterior_and_likelihood_stay_in_float32():
    head, made = NormalisedGaussianHead(6, LATENT), decoder().float()
    x, z = images((1, 9, 8)).float(), normal(2, 4, LATENT).float()
    expected = made.log_prob(x, z)
    with torch.autocast("cpu", torch.bfloat16):
        posterior, found = head(normal(4, 6).float()), made.log_prob(x, z)
    assert posterior.mean.dtype == posterior.log_variance.dtype == found.dtype == torch.float32
    assert not torch.equal(found, expected)
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0)


def test_gradients_reach_every_parameter():
    """A unit with a single weight has none for its direction; with three colours there is none."""
    shape = (3, 9, 8)
    made, head, generator = (
        encoder(shape),
        perturbed(NormalisedGaussianHead(5, LATENT)),
        decoder(shape),
    )
    x = images(shape)
    posterior = head(made(x))
    z = posterior.draw(2).z
    (generator.log_prob(x, z).sum() + posterior.log_prob(z.detach()).sum()).backward()
    for module in (made, head, generator):
        for name, parameter in module.named_parameters():
            assert parameter.grad.isfinite().all() and parameter.grad.any(), name


def test_after_the_pass_over_data_every_layer_gives_mean_0_and_deviation_1():
    made, head, generator = encoder(), NormalisedGaussianHead(5, LATENT).double(), decoder()
    x = images((1, 9, 8), size=60)

    def run():
        generator.log_prob(x, head(made(x)).mean[None])

    layers = 0
    for module in (made, head, generator):
        initialise(module, run)
        for outputs in outputs_of_layers(module, run):
            layers += 1
            torch.testing.assert_close(outputs.mean(1), torch.zeros(len(outputs), dtype=F64))
            expected = torch.ones(len(outputs), dtype=F64)
            torch.testing.assert_close(outputs.std(1), expected, rtol=0, atol=1e-4)
    assert layers == 10 + 1 + 10


@pytest.mark.parametrize("make", [encoder, decoder])
def test_strides_of_the_memory_do_not_change_the_values(make):
    """Kernels lie in memory channels last, for speed on CPUs."""
    made = make()
    network = made if make is encoder else made.logits
    given = images((1, 9, 8)) if make is encoder else normal(4, LATENT)
    expected = network(given)
    made.to(memory_format=torch.contiguous_format)
    torch.testing.assert_close(network(given), expected, rtol=0, atol=1e-10)
