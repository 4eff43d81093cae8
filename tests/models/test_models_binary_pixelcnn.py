"""Drawing from the PixelCNNs of binary images against whole passes of the network, a pixel each."""

import pytest
import torch
from torch import nn

from vaebench.models import normalised_pixelcnn, pixelcnn
from vaebench.models.normalised_pixelcnn import NormalisedPixelCnnDecoder
from vaebench.models.pixelcnn import PixelCnnDecoder
from vaebench.models.weight_norm import initialise

F64 = torch.float64
SHAPE, LATENT = (1, 7, 6), 3  # higher than a kernel reaches upwards


def normalised():
    """MAE's, after the pass over data."""
    made = NormalisedPixelCnnDecoder(LATENT, SHAPE, 4).double()
    x = torch.rand(30, *SHAPE, dtype=F64).round()
    initialise(made, lambda: made.log_prob(x, codes(1, 30)))
    return made


def batch_normed():
    """DU-VAE's, with batch norms as after some training."""
    made = PixelCnnDecoder(LATENT, SHAPE, 4).double()
    with torch.no_grad():
        for layer in made.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_mean.normal_(std=0.3)
                layer.running_var.uniform_(0.5, 1.5)
    return made


def codes(*leading):
    return torch.randn(*leading, LATENT, dtype=F64)


@pytest.fixture(params=[normalised, batch_normed], ids=["mae", "du-vae"])
def decoder(request, monkeypatch):
    torch.manual_seed(0)
    made = request.param().eval()
    at_once = 100 * SHAPE[2]  # all images of a test in one chunk, for the order of the draws
    for module in (normalised_pixelcnn, pixelcnn):
        monkeypatch.setattr(module, "_CHUNK", at_once)
    return made


@torch.no_grad()
def naively(decoder, z, choose):
    """Images [N, *SHAPE] of codes [N, K]: the whole network once for each pixel."""
    x = torch.zeros(len(z), *SHAPE, dtype=F64)
    for row in range(SHAPE[1]):
        for column in range(SHAPE[2]):
            logits = decoder.logits(x, z[None])[0, :, 0, row, column]
            x[:, 0, row, column] = choose(torch.sigmoid(logits))
    return x


def test_draws_are_those_of_the_whole_network_pixel_by_pixel(decoder):
    z = codes(2, 10)
    torch.manual_seed(1)
    drawn = decoder.sample(z)
    torch.manual_seed(1)
    expected = naively(decoder, z.flatten(0, 1), torch.bernoulli)
    assert drawn.shape == (2, 10, *SHAPE) and 0.1 < drawn.mean() < 0.9
    assert torch.equal(drawn.flatten(0, 1), expected)


def test_the_most_likely_values_are_those_of_the_whole_network(decoder):
    z = 2 * codes(2, 10)
    found = decoder.most_likely(z)
    expected = naively(decoder, z.flatten(0, 1), lambda p: (p >= 0.5).double())
    assert found.shape == (2, 10, *SHAPE) and 0.1 < found.mean() < 0.9
    assert torch.equal(found.flatten(0, 1), expected)
    assert torch.equal(decoder.most_likely(z), found)  # no chance in it


def test_of_two_values_that_are_as_likely_the_most_likely_is_1(decoder):
    """p >= 0.5, as in MAE's code."""
    with torch.no_grad():
        for name, parameter in decoder.output.named_parameters():
            if name != "direction":
                parameter.zero_()
    assert decoder.most_likely(codes(2)).all()


def test_chunks_do_not_change_the_most_likely_values(decoder, monkeypatch):
    z = 2 * codes(10)
    whole = decoder.most_likely(z)
    for module in (normalised_pixelcnn, pixelcnn):
        monkeypatch.setattr(module, "_CHUNK", 3 * SHAPE[2])
    assert torch.equal(decoder.most_likely(z), whole)
    assert torch.equal(decoder.most_likely(z[4:5]), whole[4:5])


def test_drawing_leaves_no_gradient_and_no_mode(decoder):
    decoder.train()
    z = codes(4).requires_grad_()
    in_training = decoder.most_likely(z)
    assert not in_training.requires_grad and decoder.training
    assert torch.equal(decoder.eval().most_likely(z), in_training)
