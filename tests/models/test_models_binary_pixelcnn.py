"""What holds for the PixelCNNs of binary images alike: causality, likelihoods, and drawing, held
against whole passes of the network, a pixel each."""

import pytest
import torch
from fixtures import binary_images
from torch import nn

from vaebench.models import normalised_pixelcnn, pixelcnn
from vaebench.models.binary_pixelcnn import BinaryPixelCnn
from vaebench.models.normalised_pixelcnn import NormalisedPixelCnnDecoder
from vaebench.models.pixelcnn import PixelCnnDecoder
from vaebench.models.weight_norm import initialise

F64 = torch.float64
SHAPE, LATENT = (1, 7, 6), 3  # higher than a kernel reaches upwards
MODULES = (normalised_pixelcnn, pixelcnn)


def normalised(shape=SHAPE):
    """MAE's, after the pass over data."""
    made = NormalisedPixelCnnDecoder(LATENT, shape, 4).double()
    x = torch.rand(30, *shape, dtype=F64).round()
    initialise(made, lambda: made.log_prob(x, codes(1, 30)))
    return made


def batch_normed(shape=SHAPE):
    """DU-VAE's, with batch norms as after some training."""
    made = PixelCnnDecoder(LATENT, shape, 4).double()
    with torch.no_grad():
        for layer in made.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_mean.normal_(std=0.3)
                layer.running_var.uniform_(0.5, 1.5)
    return made


def codes(*leading):
    return torch.randn(*leading, LATENT, dtype=F64)


def batch(size=5, samples=2):
    return torch.rand(size, *SHAPE, dtype=F64).round(), codes(samples, size)


@pytest.fixture(params=[normalised, batch_normed], ids=["mae", "du-vae"])
def make(request, monkeypatch):
    """Makes a decoder in evaluation mode."""
    torch.manual_seed(0)
    at_once = 100 * SHAPE[2]  # all images of a test in one chunk, for the order of the draws
    for module in MODULES:
        monkeypatch.setattr(module, "_CHUNK", at_once)
    return lambda *shape: request.param(*shape).eval()


@pytest.fixture
def decoder(make) -> BinaryPixelCnn:
    return make()


# Causality.


def test_a_logit_hangs_on_the_pixels_before_it_that_the_kernels_reach(decoder):
    """To the right a kernel of 7 reaches three pixels for each row that it goes up."""
    x, z = batch(size=1, samples=1)
    x.requires_grad_()
    height, width = SHAPE[1:]
    row, column = torch.arange(height).view(-1, 1), torch.arange(width)
    for k, logit in enumerate(decoder.logits(x, z).flatten()):
        (slope,) = torch.autograd.grad(logit, x, retain_graph=True)
        up, right = k // width - row, column - k % width
        reached = ((up > 0) & (right <= 3 * up)) | ((up == 0) & (right < 0))
        assert not reached.flatten()[k:].any()
        assert torch.equal(slope[0, 0] != 0, reached), k


def test_other_codes_change_every_logit(decoder):
    x, z = batch()
    assert (decoder.logits(x, z) != decoder.logits(x, z + 0.1)).all()


# Likelihoods.


def test_all_images_have_together_the_probability_one(make):
    made = make((1, 3, 3))
    x, z = binary_images((1, 3, 3)), 2 * codes(3, 1)
    with torch.no_grad():
        total = made.log_prob(x, z.expand(3, 512, LATENT)).logsumexp(1)
    torch.testing.assert_close(total, torch.zeros(3, dtype=F64), rtol=0, atol=1e-12)


@pytest.mark.parametrize("training", [True, False])
def test_under_autocast_the_likelihood_stays_in_float32(decoder, training):
    made = decoder.float().train(training)
    x, z = (tensor.float() for tensor in batch())
    with torch.set_grad_enabled(training):
        expected = made.log_prob(x, z)
        with torch.autocast("cpu", torch.bfloat16):
            found = made.log_prob(x, z)
    assert found.dtype == torch.float32 and not torch.equal(found, expected)
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0)


@pytest.mark.parametrize("training", [True, False])
def test_it_can_be_compiled(make, training, monkeypatch):
    """Fewer layers, traced and run as they were traced: machine code would take too long here."""
    for module in MODULES:
        monkeypatch.setattr(module, "_KERNELS", (7, 3, 3))
    made = make().train(training)
    x, z = batch()
    traced = torch.compile(lambda x, z: made.log_prob(x, z), backend="eager")
    with torch.set_grad_enabled(training):
        torch.testing.assert_close(traced(x, z), made.log_prob(x, z), rtol=1e-12, atol=1e-10)


def test_there_is_no_mean(decoder):
    with pytest.raises(TypeError, match="no mean"):
        decoder.mean(codes(2))
    assert decoder.constant_variance is None


@pytest.mark.parametrize("decoder", [NormalisedPixelCnnDecoder, PixelCnnDecoder])
class TestRefused:
    @pytest.mark.parametrize("shape", [(3, 8, 8), (8, 8), ()])
    def test_images_of_other_shapes(self, decoder, shape):
        with pytest.raises(ValueError, match="one channel"):
            decoder(LATENT, shape, 4)

    @pytest.mark.parametrize("channels", [0, 1, 5, -2])
    def test_channels_that_do_not_halve(self, decoder, channels):
        with pytest.raises(ValueError, match="even number"):
            decoder(LATENT, SHAPE, channels)


# Drawing.


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
    for module in MODULES:
        monkeypatch.setattr(module, "_CHUNK", 3 * SHAPE[2])
    assert torch.equal(decoder.most_likely(z), whole)
    assert torch.equal(decoder.most_likely(z[4:5]), whole[4:5])


def test_drawing_leaves_no_gradient_and_no_mode(decoder):
    decoder.train()
    z = codes(4).requires_grad_()
    in_training = decoder.most_likely(z)
    assert not in_training.requires_grad and decoder.training
    assert torch.equal(decoder.eval().most_likely(z), in_training)
