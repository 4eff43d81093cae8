"""MAE's PixelCNN against full masked kernels, and how it begins."""

import math

import pytest
import torch
from masked_images import full_mask, log_probs
from normalised import layers_of, outputs_of_layers
from torch.nn import functional as F

from vaebench.models import normalised_pixelcnn
from vaebench.models.normalised_pixelcnn import NormalisedBottleneck, NormalisedPixelCnnDecoder
from vaebench.models.weight_norm import WeightNormalised, initialise

F64 = torch.float64
SHAPE, LATENT = (1, 9, 8), 3


def batch(size=5, samples=2, shape=SHAPE, seed=1):
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(size, *shape, dtype=F64, generator=generator).round()
    return x, torch.randn(samples, size, LATENT, dtype=F64, generator=generator)


def decoder(shape=SHAPE, channels=4, seed=0):
    """In double precision, after the pass over data and a little more."""
    torch.manual_seed(seed)
    made = NormalisedPixelCnnDecoder(LATENT, shape, channels).double()
    x, z = batch(size=20, samples=1, shape=shape, seed=2)
    initialise(made, lambda: made.log_prob(x, z))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return made


class Reference:
    """The same network with full kernels, in the words of the protocol."""

    def __init__(self, ours):
        self.ours = ours

    def plain(self, h, layer):
        v = layer.direction
        norms = v.flatten(1).norm(dim=1).view(-1, *[1] * (v.dim() - 1))
        w = v / norms * layer.gain.view(norms.shape)
        return F.linear(h, w, layer.bias) if v.dim() == 2 else F.conv2d(h, w, layer.bias)

    def masked(self, h, layer, mask):
        kernel = layer.direction.shape[-1]
        v = layer.direction.new_full((*layer.direction.shape[:2], kernel, kernel), 77.0)
        v[:, :, : layer.direction.shape[2]] = layer.direction
        v = v * mask  # so what is below the middle is no matter
        norms = v.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
        w = v / (norms + 1e-8) * layer.gain.exp().view(-1, 1, 1, 1)
        return F.conv2d(h, w, layer.bias, padding=kernel // 2)

    def block(self, x, block, kernel):
        h = F.elu(self.plain(x, block.narrow))
        h = F.elu(self.masked(h, block.masked, full_mask(kernel, True, h.shape[1])))
        return F.elu(self.plain(h, block.widen) + x)

    def logits(self, x, z):
        ours = self.ours
        images = x.repeat(len(z), 1, 1, 1)
        maps = F.elu(self.plain(z.flatten(0, 1), ours.maps)).view(-1, 4, *x.shape[2:])
        h = self.masked(torch.cat([images, maps], 1), ours.first, full_mask(7, False, 1, 4))
        y0 = F.elu(h)
        b1, b2, b3, b4, b5, b6 = ours.blocks
        s0, s1, s2, s3, s4 = ours.skips
        y1 = self.block(y0, b1, 7)
        y2 = self.block(y1, b2, 7)
        y3 = self.block(y2 + self.block(y0, s0, 7), b3, 5)
        y4 = self.block(y3 + self.block(y1, s1, 7), b4, 5)
        y5 = self.block(y4 + self.block(y2, s2, 5), b5, 3)
        y6 = self.block(y5 + self.block(y3, s3, 5), b6, 3)
        h = y6 + self.block(y4, s4, 3)
        return self.plain(F.elu(self.plain(h, ours.head)), ours.output).view(
            *z.shape[:2], *x.shape[1:]
        )


def test_the_papers_network_has_the_papers_size():
    with torch.device("meta"):
        made = NormalisedPixelCnnDecoder(32, (1, 28, 28), 64)
    kept = sum(parameter.numel() for parameter in made.parameters())
    kernels = [block.masked.direction.shape[3] for block in (*made.blocks, *made.skips)]
    assert kernels == [7, 7, 5, 5, 3, 3, 7, 7, 5, 5, 3]
    rows_left_out = sum(kernel // 2 * kernel * 32 * 32 for kernel in kernels)
    assert kept + rows_left_out == 505_346  # as the authors' code counts, masked taps and all
    for block in (*made.blocks, *made.skips):
        assert block.masked.direction.shape[:2] == (32, 32)
        assert block.masked.direction.shape[2] == block.masked.direction.shape[3] // 2 + 1


# Causality.


def test_a_logit_hangs_on_the_maps_after_it_as_well():
    """The first layer sees of the maps three pixels to each side; the others see what is before."""
    made = decoder()
    x, z = batch(size=1, samples=1)
    maps = made.maps_of(z[0]).detach().requires_grad_()
    logits = made.logits_of(torch.cat([x, maps], 1))
    row, column = torch.arange(SHAPE[1]).view(-1, 1), torch.arange(SHAPE[2])
    for i, j in ((0, 0), (2, 3), (4, 7), (8, 7)):
        (slope,) = torch.autograd.grad(logits[0, 0, i, j], maps, retain_graph=True)
        window = ((row - i).abs() <= 3) & ((column - j).abs() <= 3)
        assert (slope[0, :, window] != 0).all()
        assert not slope[0, :, (row > i + 3).expand_as(window)].any()


# Against full kernels.


def test_it_is_the_network_with_full_masked_kernels():
    made = decoder()
    x, z = batch()
    logits = Reference(made).logits(x, z)
    torch.testing.assert_close(made.logits(x, z), logits, rtol=0, atol=1e-10)
    found, expected = made.log_prob(x, z), log_probs(logits, x)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-10)
    ours, theirs = (
        torch.autograd.grad(-values.mean(), [*made.parameters()]) for values in (found, expected)
    )
    for (name, _), gradient, wanted in zip(made.named_parameters(), ours, theirs, strict=True):
        assert gradient.any() and gradient.isfinite().all(), name
        torch.testing.assert_close(gradient, wanted, rtol=0, atol=1e-10, msg=name)


def test_masked_taps_have_no_gradient():
    made = decoder()
    made.log_prob(*batch()).sum().backward()
    blocks = [layer for layer in made.modules() if isinstance(layer, NormalisedBottleneck)]
    assert len(blocks) == 11
    for block in blocks:
        seen = block.masked.direction.grad != 0
        kernel = seen.shape[-1]
        expected = full_mask(kernel, True, seen.shape[1])[:, : kernel // 2 + 1].bool()
        assert torch.equal(seen.any(0), expected)
    assert torch.equal(
        (made.first.direction.grad != 0).any(0), full_mask(7, False, 1, others=4).bool()
    )


def test_a_unit_that_sees_nothing_has_gradients_that_are_numbers():
    made = decoder()
    with torch.no_grad():
        made.blocks[0].masked.direction[0] = 0
    made.log_prob(*batch()).sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in made.parameters())


def test_after_the_pass_over_data_every_layer_gives_mean_0_and_deviation_1():
    made = decoder()
    x, z = batch(size=30, samples=1)
    for _ in range(2):  # the 1e-6 which the code adds to deviations shows beside small ones
        initialise(made, lambda: made.log_prob(x, z))
    found = outputs_of_layers(made, lambda: made.log_prob(x, z))
    assert len(found) == len(layers_of(made)) == 1 + 1 + 11 * 3 + 2
    for outputs in found:
        torch.testing.assert_close(outputs.mean(1), torch.zeros(len(outputs), dtype=F64))
        expected = torch.ones(len(outputs), dtype=F64)
        torch.testing.assert_close(outputs.std(1), expected, rtol=0, atol=1e-5)


# In evaluation.


@pytest.mark.parametrize("images", [1, 3, 7, 1000])
def test_in_chunks_the_likelihood_is_that_of_training(images, monkeypatch):
    monkeypatch.setattr(normalised_pixelcnn, "_CHUNK", images * math.prod(SHAPE))
    made = decoder()
    x, z = batch()
    expected = made.log_prob(x, z).detach()
    made.eval()
    with torch.no_grad():
        torch.testing.assert_close(made.log_prob(x, z), expected, rtol=1e-12, atol=1e-10)
        single = made.float().log_prob(x.float(), z.float())
    torch.testing.assert_close(single.double(), expected, rtol=1e-5, atol=0)


def test_in_chunks_the_weights_are_worked_out_once(monkeypatch):
    monkeypatch.setattr(normalised_pixelcnn, "_CHUNK", math.prod(SHAPE))  # an image a chunk
    made = decoder().eval()
    worked_out, weight = [], WeightNormalised.weight.fget

    def counting(layer):
        worked_out.append(layer)
        return weight(layer)

    monkeypatch.setattr(WeightNormalised, "weight", property(counting))
    with torch.no_grad():
        made.log_prob(*batch())
    assert worked_out == [made.maps, made.first, *layers_of(made)[2:]]
    worked_out.clear()
    made.sample(batch()[1])
    assert len(worked_out) == len(layers_of(made))


def test_in_evaluation_the_weights_are_never_out_of_date():
    made = decoder().eval()
    x, z = batch()
    with torch.no_grad():
        before = made.log_prob(x, z)
        for parameter in made.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        after = made.log_prob(x, z)
    torch.testing.assert_close(after, made.log_prob(x, z).detach(), rtol=1e-12, atol=1e-10)
    assert (after != before).all()


def test_kernels_lie_in_memory_channels_last():
    """For speed, as must the weights that are made of them in every step."""
    for layer in layers_of(decoder()):
        if layer.direction.dim() == 4:
            assert layer.weight.is_contiguous(memory_format=torch.channels_last)
