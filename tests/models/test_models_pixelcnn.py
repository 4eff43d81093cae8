"""DU-VAE's PixelCNN against full masked kernels, and its draws."""

import copy
import math

import pytest
import torch
from fixtures import binary_images
from masked_images import full_mask, log_probs
from scipy.stats import chisquare
from torch import nn
from torch.nn import functional as F

from vaebench.models import pixelcnn
from vaebench.models.pixelcnn import FirstConvolution, MaskedConvolution, PixelCnnDecoder

F64 = torch.float64
SHAPE, LATENT = (1, 9, 8), 3
KERNELS = [7, 7, 7, 7, 7, 5, 5, 5, 5, 3, 3, 3, 3]


def decoder(shape=SHAPE, channels=4, seed=0):
    """In double precision, with batch norms as after some training."""
    torch.manual_seed(seed)
    made = PixelCnnDecoder(LATENT, shape, channels).double()
    with torch.no_grad():
        for layer in made.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.weight.copy_(0.5 + torch.rand_like(layer.weight))
                for tensor in (layer.bias, layer.running_mean):
                    tensor.copy_(0.3 * torch.randn_like(tensor))
                layer.running_var.copy_(0.5 + torch.rand_like(layer.running_var))
    return made


def batch(size=5, samples=2, shape=SHAPE, seed=1):
    generator = torch.Generator().manual_seed(seed)
    x = torch.rand(size, *shape, dtype=F64, generator=generator).round()
    return x, torch.randn(samples, size, LATENT, dtype=F64, generator=generator)


class Reference(nn.Module):
    """The same network with full kernels, in the words of the protocol."""

    def __init__(self, ours):
        super().__init__()
        self.ours = copy.deepcopy(ours)
        self.shape = ours.shape

    def masked(self, h, convolution):
        kernel, weight = convolution.kernel, convolution.weight
        full = weight.new_full((*weight.shape[:2], kernel, kernel), 77.0)  # masked, so no matter
        full[:, :, : kernel // 2 + 1] = weight
        full = full * full_mask(kernel, True, weight.shape[1])
        return F.conv2d(h, full, padding=kernel // 2)

    def block(self, x, block):
        h = F.elu(block.narrow_norm(block.narrow(x)))
        h = F.elu(block.masked_norm(self.masked(h, block.masked)))
        return F.elu(block.widen_norm(block.widen(h)) + x)

    def forward(self, x, z):
        ours = self.ours
        images = x.repeat(len(z), 1, 1, 1)
        maps = ours.maps(z.flatten(0, 1)).view(-1, 4, *self.shape[1:])
        weight = ours.first.weight * full_mask(7, False, 1, others=4)
        h = F.conv2d(torch.cat([images, maps], 1), weight, padding=3)
        outputs = [F.elu(ours.first_norm(h))]
        for i in range(1, 13):
            h = outputs[-1]
            if i >= 3:
                h = h + self.block(outputs[i - 3], ours.skips[i - 3])
            outputs.append(self.block(h, ours.blocks[i - 1]))
        h = outputs[12] + self.block(outputs[10], ours.skips[10])
        h = ours.output(F.elu(ours.head_norm(ours.head(h))))
        return h.view(*z.shape[:2], *self.shape)


# Size.


def test_the_papers_network_has_the_papers_size():
    with torch.device("meta"):
        made = PixelCnnDecoder(32, (1, 28, 28), 64)
    kept = sum(parameter.numel() for parameter in made.parameters())
    masked = [layer for layer in made.modules() if isinstance(layer, MaskedConvolution)]
    rows_left_out = sum(layer.kernel // 2 * layer.kernel * 32 * 32 for layer in masked)
    assert kept + rows_left_out == 894_400  # as the authors' code counts, masked taps and all
    taps_masked = sum((layer.kernel**2 - 1) // 2 * 32 * 32 for layer in masked) + 25 * 64
    assert 894_400 - taps_masked == 569_216  # what is free
    assert len(made.blocks) == 12 and len(made.skips) == 11


def test_the_kernels_are_those_of_the_authors():
    made = decoder()
    assert made.first.weight.shape[2:] == (7, 7)
    assert [block.masked.kernel for block in made.blocks] == KERNELS[1:]
    assert [block.masked.kernel for block in made.skips] == KERNELS[1:12]
    for layer in made.modules():
        if isinstance(layer, MaskedConvolution):
            assert layer.weight.shape[2:] == (layer.kernel // 2 + 1, layer.kernel)


def test_weights_start_with_the_variance_of_the_full_kernel():
    torch.manual_seed(0)
    made = PixelCnnDecoder(8, (1, 12, 12), 64)
    for layer in made.modules():
        if isinstance(layer, FirstConvolution):
            assert layer.weight.std().item() == pytest.approx((2 / (49 * 64)) ** 0.5, rel=0.03)
        elif isinstance(layer, MaskedConvolution):
            expected = (2 / (layer.kernel**2 * 32)) ** 0.5
            assert layer.weight.std().item() == pytest.approx(expected, rel=0.05)
    for block in (*made.blocks, *made.skips):
        assert block.narrow.weight.std().item() == pytest.approx((2 / 32) ** 0.5, rel=0.08)
        assert block.widen.weight.std().item() == pytest.approx((2 / 64) ** 0.5, rel=0.08)
    for layer in (made.head, made.output):  # PyTorch's own: uniform, 1 / sqrt(fan in)
        assert 0.9 / 8 < layer.weight.abs().max() <= 1 / 8
    bound = (6 / (8 + 4 * 144)) ** 0.5
    assert 0.99 * bound < made.maps.weight.abs().max() <= bound and not made.maps.bias.any()


# Against full kernels.


@pytest.mark.parametrize("training", [True, False])
def test_it_is_the_network_with_full_masked_kernels(training):
    made = decoder().train(training)
    reference = Reference(made)
    x, z = batch()
    found, expected = made.logits(x, z), reference(x, z)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
    loss, expected_loss = -made.log_prob(x, z).mean(), -log_probs(reference(x, z), x).mean()
    assert loss.item() == pytest.approx(expected_loss.item(), rel=1e-12)
    loss.backward()
    expected_loss.backward()
    for (name, weight), wanted in zip(
        made.named_parameters(), reference.ours.parameters(), strict=True
    ):
        assert weight.grad.any(), name
        torch.testing.assert_close(weight.grad, wanted.grad, rtol=0, atol=1e-10, msg=name)
    for (name, tensor), wanted in zip(made.named_buffers(), reference.ours.buffers(), strict=True):
        torch.testing.assert_close(tensor, wanted, rtol=0, atol=1e-10, msg=name)


def test_masked_taps_have_no_gradient():
    made = decoder()
    x, z = batch()
    made.log_prob(x, z).sum().backward()
    masked = [layer for layer in made.modules() if isinstance(layer, MaskedConvolution)]
    assert len(masked) == 23
    for layer in masked:
        last = layer.weight.grad[:, :, -1]
        assert not last[..., layer.kernel // 2 + 1 :].any()
        assert last[..., : layer.kernel // 2 + 1].any((0, 1)).all()
    seen = made.first.weight.grad != 0
    assert torch.equal(seen.any(0), full_mask(7, False, 1, others=4).bool())


# In evaluation.


@pytest.mark.parametrize("images", [1, 3, 7, 1000])
def test_folded_batch_norms_change_nothing(images, monkeypatch):
    monkeypatch.setattr(pixelcnn, "_CHUNK", images * math.prod(SHAPE))
    made = decoder().eval()
    x, z = batch()
    expected = made.log_prob(x, z).detach()
    with torch.no_grad():
        torch.testing.assert_close(made.log_prob(x, z), expected, rtol=1e-12, atol=1e-10)
        single = made.float().log_prob(x.float(), z.float())
    torch.testing.assert_close(single.double(), expected, rtol=1e-5, atol=0)


def test_folding_is_never_out_of_date():
    made = decoder().eval()
    x, z = batch()
    with torch.no_grad():
        before = made.log_prob(x, z)
        for tensor in (*made.parameters(), *made.buffers()):
            if tensor.is_floating_point():
                tensor.mul_(1.1)
        after = made.log_prob(x, z)
    torch.testing.assert_close(after, made.log_prob(x, z).detach(), rtol=1e-12, atol=1e-10)
    assert (after != before).all()


def test_in_training_it_takes_the_statistics_of_the_batch_and_in_evaluation_leaves_them():
    made = decoder()
    x, z = batch()
    kept = {name: tensor.clone() for name, tensor in made.named_buffers()}
    made.eval()
    with torch.no_grad():
        evaluated = made.log_prob(x, z)
        made.sample(z[0])
    assert all(torch.equal(tensor, kept[name]) for name, tensor in made.named_buffers())
    made.train()
    with torch.no_grad():
        assert (made.log_prob(x, z) - evaluated).abs().min() > 1e-3
    assert not torch.equal(made.head_norm.running_mean, kept["head_norm.running_mean"])


# Drawing.


def test_images_are_drawn_as_often_as_they_are_probable(monkeypatch):
    monkeypatch.setattr(pixelcnn, "_CHUNK", 3 * 4_500)  # the last chunk is smaller
    made = decoder((1, 3, 3)).eval()
    with torch.no_grad():
        made.output.weight.mul_(0.3)  # else most images are too rare
    torch.manual_seed(0)
    z = 2 * torch.randn(1, 1, LATENT, dtype=F64)
    drawn = made.sample(z[0].expand(8_000, LATENT))
    assert drawn.shape == (8_000, 1, 3, 3) and ((drawn == 0) | (drawn == 1)).all()
    codes = (drawn.flatten(1) @ (2.0 ** torch.arange(9, dtype=F64))).long()
    counts = torch.bincount(codes, minlength=512).double()
    with torch.no_grad():
        expected = (
            8_000 * made.log_prob(binary_images((1, 3, 3)), z.expand(1, 512, LATENT))[0].exp()
        )
    rare = expected < 5
    found = torch.cat([counts[~rare], counts[rare].sum()[None]])
    wanted = torch.cat([expected[~rare], expected[rare].sum()[None]])
    assert len(found) > 50 and wanted.sum() == pytest.approx(8_000)
    assert chisquare(found, wanted).pvalue > 1e-3


def test_each_pixel_is_drawn_given_those_before_it(monkeypatch):
    """On an image higher than a kernel: the probabilities are those that log_prob gives."""
    probabilities, bernoulli = [], torch.bernoulli

    def recording(probability):
        probabilities.append(probability)
        return bernoulli(probability)

    monkeypatch.setattr(torch, "bernoulli", recording)
    made = decoder().eval()
    _, z = batch()
    torch.manual_seed(0)
    drawn = made.sample(z)
    assert drawn.shape == (2, 5, *SHAPE) and 0.2 < drawn.mean() < 0.8
    x, codes = drawn.flatten(0, 1), z.flatten(0, 1)[None]
    expected = torch.sigmoid(made.logits(x, codes)).detach()[0].flatten(1)
    torch.testing.assert_close(torch.stack(probabilities, 1), expected, rtol=0, atol=1e-10)
