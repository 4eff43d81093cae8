"""The convolutional networks: the papers' sizes and layers, and gradients to every parameter."""

import pytest
import torch
from torch import nn

from vaebench.models.convolutional import ConvolutionalEncoder, ConvolutionalGenerator
from vaebench.models.heads import DeterministicHead, GaussianHead

# network: shape, latent size, parameters of encoder with head and of the decoder (AR-ELBO,
# Appendices D.1, J.1, J.2; counted by hand from the printed layers).
PAPER = {
    "plain": ((1, 28, 28), 8, 6_564_040, 6_570_177),
    "mnist": ((1, 28, 28), 16, 6_664_992, 6_666_817),
    "celeba": ((3, 64, 64), 64, 19_315_584, 21_474_307),
}
SMALL = {"plain": (1, 4, 8), "mnist": (2, 8, 4), "celeba": (3, 16, 32)}

networks = pytest.mark.parametrize("network", PAPER)
LATENT = 3


def count(*modules):
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def on_meta(part, *arguments):
    """A module without memory for its weights."""
    with torch.device("meta"):
        return part(*arguments)


def small(network, variances=0, seed=0):
    torch.manual_seed(seed)
    shape = SMALL[network]
    encoder = ConvolutionalEncoder(network, shape, 0.05)
    generator = ConvolutionalGenerator(network, LATENT, shape, variances, 0.05)
    return encoder.double(), generator.double()


def images(network, count=5):
    generator = torch.Generator().manual_seed(1)
    return torch.rand(count, *SMALL[network], dtype=torch.float64, generator=generator)


def codes(count=5):
    generator = torch.Generator().manual_seed(2)
    return torch.randn(count, LATENT, dtype=torch.float64, generator=generator)


@networks
def test_the_papers_networks_have_the_papers_sizes(network):
    shape, latent, inference, generative = PAPER[network]
    encoder = on_meta(ConvolutionalEncoder, network, shape, 1)
    if network == "plain":  # sigma_z^2 is one number, not of the network
        head = DeterministicHead(encoder.features, latent)
    else:
        head = GaussianHead(encoder.features, latent, isotropic=False)
    generator = on_meta(ConvolutionalGenerator, network, latent, shape, 0, 1)
    assert (count(encoder, head), count(generator)) == (inference, generative)


def shapes(module, given):
    """The shapes that the layers with weights give for one image or code."""
    found = []
    x = torch.empty(2, *given, device="meta")
    for layer in module.layers:
        x = layer(x)
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            found.append(tuple(x.shape[1:]))
    return found


@pytest.mark.parametrize(
    ("network", "encoded", "decoded"),
    [
        *(
            (
                network,
                [(64, 14, 14), (128, 7, 7), (1024,)],
                [(1024,), (6272,), (64, 14, 14), (1, 28, 28)],
            )
            for network in ("plain", "mnist")
        ),
        (
            "celeba",
            [(128, 32, 32), (256, 16, 16), (512, 8, 8), (1024, 4, 4)],
            [(65_536,), (512, 16, 16), (256, 32, 32), (128, 64, 64), (3, 64, 64)],
        ),
    ],
)
def test_the_layers_have_the_printed_shapes(network, encoded, decoded):
    shape, latent, *_ = PAPER[network]
    assert shapes(on_meta(ConvolutionalEncoder, network, shape, 1), shape) == encoded
    generator = on_meta(ConvolutionalGenerator, network, latent, shape, 0, 1)
    assert shapes(generator, (latent,)) == decoded


def normalised(module):
    """For each layer with weights whether batch norm and whether a ReLU follow it."""
    weighted = (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
    found = []
    for layer in module.layers:
        if isinstance(layer, weighted):
            found.append("")
        elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            found[-1] += "N"
        elif isinstance(layer, nn.ReLU):
            found[-1] += "R"
    return found


@pytest.mark.parametrize(
    ("network", "encoder", "decoder"),
    [
        ("plain", ["R", "R", "R"], ["R", "R", "R", ""]),
        ("mnist", ["R", "R", "NR"], ["NR", "NR", "NR", ""]),
        ("celeba", ["R", "NR", "NR", "NR"], ["", "R", "NR", "NR", ""]),
    ],
)
def test_batch_norm_and_relu_are_where_they_are_printed(network, encoder, decoder):
    ours = small(network)
    assert [normalised(module) for module in ours] == [encoder, decoder]


@networks
def test_kernels_are_the_printed_ones(network):
    expected = {
        "plain": [4, 4, 4, 4],
        "mnist": [5, 5, 5, 4],
        "celeba": [5, 5, 5, 5, 5, 5, 5, 5],
    }[network]
    found = [
        layer.kernel_size[0]
        for module in small(network)
        for layer in module.layers
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d)
    ]
    assert found == expected


@networks
def test_gradients_reach_every_parameter(network):
    encoder, generator = small(network, variances=SMALL[network][0])
    torch.manual_seed(3)
    for output in (encoder(images(network)), generator(codes())):
        (output * torch.randn_like(output)).sum().backward()
    for module in (encoder, generator):
        for name, parameter in module.named_parameters():
            assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


@networks
def test_each_datum_is_taken_by_itself_in_evaluation(network):
    for module, given in zip(small(network), (images(network), codes()), strict=True):
        module.eval()
        one_by_one = torch.cat([module(datum) for datum in given.split(1)])
        torch.testing.assert_close(module(given), one_by_one, rtol=1e-10, atol=1e-10)
    assert module(given).shape == (5, *SMALL[network])


@networks
def test_channels_for_variances_start_at_zero_and_the_others_do_not(network):
    channels = SMALL[network][0]
    _, generator = small(network, variances=channels)
    mean, head = generator(3 * codes()).split(channels, dim=1)
    assert not head.any() and mean.flatten(1).std(1).min() > 0


@networks
def test_layers_start_as_pytorch_starts_them(network):
    """Uniform with bound 1 / sqrt(fan in), for which transposed convolutions count outputs."""
    for module in small(network):
        for layer in module.layers:
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
                bound = layer.weight[0].numel() ** -0.5
                largest = layer.weight.detach().abs().max()
                assert 0.75 * bound < largest <= bound * (1 + 1e-6)
                assert layer.bias.detach().abs().max() <= bound * (1 + 1e-6)


@pytest.mark.parametrize(("width", "sizes"), [(1, (64, 128, 1024)), (0.25, (16, 32, 256))])
def test_the_width_multiplies_outputs_and_leaves_at_least_one(width, sizes):
    layers = on_meta(ConvolutionalEncoder, "plain", (1, 28, 28), width).layers
    found = [getattr(layer, "out_channels", getattr(layer, "out_features", 0)) for layer in layers]
    assert tuple(size for size in found if size) == sizes
    assert ConvolutionalEncoder("plain", (1, 4, 4), 1e-6).features == 1


@networks
def test_strides_of_the_memory_do_not_change_the_values(network):
    """Kernels lie in memory channels last, for speed on CPUs."""
    for module, given in zip(small(network), (images(network), codes()), strict=True):
        expected = module(given)
        plain = module.to(memory_format=torch.contiguous_format)
        torch.testing.assert_close(plain(given), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(
    ("network", "shape", "multiple"),
    [("plain", (1, 28, 30), 4), ("mnist", (1, 26, 28), 4), ("celeba", (3, 64, 72), 16)],
)
def test_images_that_do_not_halve_are_refused(network, shape, multiple):
    with pytest.raises(ValueError, match=f"multiples of {multiple}, not {shape[1]}x{shape[2]}"):
        ConvolutionalEncoder(network, shape, 0.1)
