"""The PixelCNN++ against the protocol's words, its causality pixel by pixel, and its drawing."""

import pytest
import torch
from torch.nn import functional as F

from vaebench.estimators import logistic_mixture
from vaebench.models import pixelcnn_pp
from vaebench.models.gated_streams import GatedBlock
from vaebench.models.pixelcnn_pp import PixelCnnPlusPlusDecoder
from vaebench.models.weight_norm import WeightNormalised, initialise

F64 = torch.float64
SHAPE, LATENT = (3, 8, 8), (4, 2, 2)


def decoder(channels=4, blocks=2, components=2, shape=SHAPE, latent=LATENT):
    """In double precision and evaluation mode, after the pass over data, with wide gates."""
    torch.manual_seed(0)
    made = PixelCnnPlusPlusDecoder(latent, shape, channels, blocks, components).double().eval()
    for layer in made.modules():
        if isinstance(layer, WeightNormalised):
            layer.std = 1.0
    x, z = batch(8, 1, shape, latent)
    initialise(made, lambda: made.log_prob(x, z))
    return made


def batch(size=3, samples=2, shape=SHAPE, latent=LATENT, seed=1):
    generator = torch.Generator().manual_seed(seed)
    x = 2 * torch.randint(256, (size, *shape), generator=generator).double() / 255 - 1
    codes = torch.Size(latent).numel()
    return x, torch.randn(samples, size, codes, dtype=F64, generator=generator)


def test_the_papers_network_has_the_papers_size():
    with torch.device("meta"):
        made = PixelCnnPlusPlusDecoder((16, 8, 8), (3, 32, 32), 96, 5, 10)
    dead_skips = 2 * (192 * 96 + 96 + 96)  # one of each stream
    assert sum(weight.numel() for weight in made.parameters()) + dead_skips == 35_703_392


# Against the protocol.


def act(h):
    return F.elu(torch.cat([h, -h], 1))


def conv(layer, h, **how):
    return F.conv2d(h, layer.weight, layer.bias, **how)


def deconv(layer, h, **how):
    return F.conv_transpose2d(h, layer.weight, layer.bias, stride=2, output_padding=1, **how)


def down(layer, h, stride=1):
    kernel = layer.convolution.weight.shape[2:]
    side = (kernel[1] - 1) // 2
    return conv(layer.convolution, F.pad(h, (side, side, kernel[0] - 1, 0)), stride=stride)


def down_right(layer, h, stride=1):
    kernel = layer.convolution.weight.shape[2:]
    return conv(layer.convolution, F.pad(h, (kernel[1] - 1, 0, kernel[0] - 1, 0)), stride=stride)


def gated(halves, conditioning, u1, u2, h):
    first, second = conditioning
    hc = conv(second, act(conv(first, act(h), padding=1)), padding=1)
    vertical, horizontal = halves
    c1 = down(vertical.second, act(down(vertical.first, act(u1))))
    a, b = (down(vertical.gates, act(c1)) + hc).chunk(2, 1)
    u1 = u1 + a * torch.sigmoid(b)
    c2 = down_right(horizontal.second, act(down_right(horizontal.first, act(u2))))
    c2 = act(c2 + conv(horizontal.beside, act(u1)))
    a, b = (down_right(horizontal.gates, c2) + hc).chunk(2, 1)
    return u1, u2 + a * torch.sigmoid(b)


def levels_of(stream):
    coarser = [stream.coarser, stream.coarser.level.coarser]
    return [stream, *(one.level for one in coarser)], coarser


def reference(ours, x, z):
    """17 layers on the way up and 17 on the way down, both streams side by side, and a stack."""
    z = z.flatten(0, 1)
    x = x.repeat(len(z) // len(x), 1, 1, 1)
    maps = ours.conditions
    h = F.elu(deconv(maps.twice, z.view(-1, *LATENT), padding=1))
    h = conv(maps.last, F.elu(deconv(maps.fourfold, h, padding=1)))
    streams = [levels_of(ours.vertical), levels_of(ours.horizontal)]
    levels = list(zip(*(one[0] for one in streams), strict=True))  # pairs, from the finest
    coarser = list(zip(*(one[1] for one in streams), strict=True))

    def run(way, level, number, u1, u2, h):
        halves = [getattr(stream, way)[number] for stream in levels[level]]
        conditioning = getattr(maps, way)[level]
        shown = conditioning.first[number], conditioning.second[number]
        return gated(halves, shown, u1, u2, h)

    u1 = down(ours.rows_above, x)
    u1 = torch.cat([torch.zeros_like(u1[:, :, :1]), u1[:, :, :-1]], 2)
    above, left = down(ours.row_above, x), down_right(ours.left, x)
    above = torch.cat([torch.zeros_like(above[:, :, :1]), above[:, :, :-1]], 2)
    left = torch.cat([torch.zeros_like(left[..., :1]), left[..., :-1]], 3)
    u2, stack, blocks = above + left, [], len(levels[0][0].inward)
    for level in range(3):
        if level > 0:
            narrow = [pair.narrow for pair in coarser[level - 1]]
            u1, u2 = down(narrow[0], u1, stride=2), down_right(narrow[1], u2, stride=2)
            stack.append((u1, u2))
            h = conv(maps.narrow[level - 1], h, stride=2, padding=1)
        for number in range(blocks):
            u1, u2 = run("inward", level, number, u1, u2, h)
            stack.append((u1, u2))
    assert len(stack) == 3 * blocks + 2
    u1, u2 = stack.pop()
    for level in (2, 1, 0):
        for number in range(blocks):
            if (level, number) != (2, 0):
                skips = [stream.skips[number - (level == 2)] for stream in levels[level]]
                s1, s2 = stack.pop()
                u1, u2 = u1 + conv(skips[0], act(s1)), u2 + conv(skips[1], act(s2))
            u1, u2 = run("outward", level, number, u1, u2, h)
        if level > 0:
            s1, s2 = stack.pop()
            up1, up2 = coarser[level - 1]
            u1, u2 = u1 + conv(up1.skip, act(s1)), u2 + conv(up2.skip, act(s2))
            u1 = deconv(up1.widen, u1)[:, :, :-1, 1:-1]
            u2 = deconv(up2.widen, u2)[:, :, :-1, :-1]
            h = deconv(maps.widen[level - 1], h, padding=1)
    assert not stack
    return conv(ours.head.output, F.elu(conv(ours.head.hidden, F.elu(u2))))


@pytest.mark.parametrize("blocks", [1, 3])
def test_it_is_the_network_of_the_protocol(blocks):
    made = decoder(blocks=blocks)
    x, z = batch()
    found, expected = made.mixtures(x, z), reference(made, x, z)
    assert found.shape == (2, 3, 20, 8, 8)
    torch.testing.assert_close(found.flatten(0, 1), expected, rtol=1e-10, atol=1e-10)
    log_probs = logistic_mixture.log_likelihood(expected.view_as(found), x)
    torch.testing.assert_close(made.log_prob(x, z), log_probs, rtol=1e-10, atol=0)


def test_every_weight_has_a_gradient():
    made = decoder(blocks=2)
    x, z = batch()
    (-made.log_prob(x, z).mean()).backward()
    assert all(weight.grad.any() for weight in made.parameters())


# What it sees.


def test_a_pixel_hangs_on_all_pixels_before_it_in_every_colour_and_on_no_other():
    """A copy of the image a pixel, so that one backward pass gives the slopes of all."""
    made = decoder()
    pixels = 64
    x, z = batch(1, 1)
    x = x.repeat(pixels, 1, 1, 1).requires_grad_()
    found = made.mixtures(x, z.expand(1, pixels, -1))[0].flatten(2)
    own = found[range(pixels), :, range(pixels)]
    weights = torch.randn(own.shape, dtype=F64, generator=torch.Generator().manual_seed(0))
    (own * weights).sum().backward()
    earlier = torch.arange(pixels)[:, None] > torch.arange(pixels)
    for colour in range(3):
        assert torch.equal(x.grad[:, colour].flatten(1) != 0, earlier)


def test_the_code_reaches_every_pixel():
    """All of it, also what lies below and on the right."""
    made = decoder()
    x, z = batch(1, 1)
    z = z.expand(1, 64, -1).clone().requires_grad_()
    found = made.mixtures(x.expand(64, -1, -1, -1), z)[0].flatten(2)
    found[range(64), :, range(64)].square().sum().backward()
    assert (z.grad != 0).all()


def test_dropout_is_for_training():
    made = decoder()
    x, z = batch()
    assert torch.equal(made.log_prob(x, z), made.log_prob(x, z))
    made.train()
    torch.manual_seed(0)
    assert (made.log_prob(x, z) != made.log_prob(x, z)).all()


def test_under_autocast_the_likelihood_stays_in_float32():
    made = decoder().float()
    x, z = (tensor.float() for tensor in batch())
    expected = made.log_prob(x, z)
    with torch.autocast("cpu", torch.bfloat16):
        found = made.log_prob(x, z)
    assert found.dtype == torch.float32 and not torch.equal(found, expected)
    torch.testing.assert_close(found, expected, rtol=0.05, atol=0)


# Its start.


def test_after_the_pass_over_data_layers_have_mean_0_and_deviation_1_or_for_gates_01():
    torch.manual_seed(0)
    latent = (8, 2, 2)
    made = PixelCnnPlusPlusDecoder(latent, SHAPE, 4, 1, 2).double().eval()
    x, z = batch(20, 1, latent=latent)
    initialise(made, lambda: made.log_prob(x, z))
    gates = [block.gates.convolution for block in made.modules() if isinstance(block, GatedBlock)]
    for blocks in (*made.conditions.inward, *made.conditions.outward):
        gates.extend(blocks.second)
    assert len(gates) == 3 * 2 * 3
    outputs = {}

    def remember(layer, _, found):
        assert layer not in outputs  # each is called once
        outputs[layer] = found

    layers = [layer for layer in made.modules() if isinstance(layer, WeightNormalised)]
    for layer in layers:
        layer.register_forward_hook(remember)
    made.log_prob(x, z)
    assert set(outputs) == set(layers)
    for layer, found in outputs.items():
        std, mean = torch.std_mean(found, (0, 2, 3))
        expected = torch.full_like(std, 0.1 if layer in gates else 1.0)
        torch.testing.assert_close(mean, torch.zeros_like(mean), rtol=0, atol=1e-10)
        torch.testing.assert_close(std, expected, rtol=1e-3, atol=0)


# Drawing.


def naive(made, z, colours):
    """Pixel by pixel with the whole network."""
    made.eval()
    x = torch.zeros(len(z), *made.shape, dtype=z.dtype)
    with torch.no_grad():
        for row in range(made.shape[1]):
            for column in range(made.shape[2]):
                mixtures = made.mixtures(x, z[None])[0]
                x[:, :, row, column] = colours(mixtures[:, :, row, column])
    return x


@pytest.mark.parametrize(("height", "width"), [(8, 8), (4, 12)])
@pytest.mark.parametrize("what", ["sample", "most_likely"])
def test_pieces_give_what_the_whole_network_gives(what, height, width):
    """With the same draws; also where the coarsest level has one row and three columns."""
    shape, latent = (3, height, width), (4, height // 4, width // 4)
    made = decoder(blocks=1, shape=shape, latent=latent).train()
    _, z = batch(3, 1, shape, latent)
    torch.manual_seed(7)
    found = getattr(made, what)(z)
    assert made.training and not found.requires_grad and found.shape == (1, 3, *shape)
    torch.manual_seed(7)
    expected = naive(made, z[0], getattr(logistic_mixture, what))
    assert len(expected.unique()) > 30
    torch.testing.assert_close(found[0], expected, rtol=0, atol=1e-9)


def test_images_are_drawn_in_chunks(monkeypatch):
    monkeypatch.setattr(pixelcnn_pp, "_DRAWN", 2)
    made = decoder(blocks=1)
    _, z = batch(3, 1)
    found = made.most_likely(z[0])
    assert found.shape == (3, *SHAPE)
    monkeypatch.undo()
    torch.testing.assert_close(found, made.most_likely(z[0]), rtol=0, atol=1e-9)


def test_drawing_takes_the_weights_as_they_are():
    made = decoder(blocks=1)
    _, z = batch(2, 1)
    before = made.most_likely(z)
    kept = {name: tensor.clone() for name, tensor in made.state_dict().items()}
    assert torch.equal(made.most_likely(z), before)
    assert all(torch.equal(tensor, kept[name]) for name, tensor in made.state_dict().items())
    with torch.no_grad():
        made.head.output.gain.mul_(1.5)
    assert not torch.equal(made.most_likely(z), before)


def test_it_can_be_compiled(monkeypatch):
    """Fewer levels, traced and run as they were traced: machine code would take too long here."""
    monkeypatch.setattr(pixelcnn_pp, "_LEVELS", 2)
    made = decoder(blocks=1)
    x, z = batch()
    traced = torch.compile(lambda x, z: made.log_prob(x, z), backend="eager", fullgraph=True)
    torch.testing.assert_close(traced(x, z), made.log_prob(x, z), rtol=1e-12, atol=1e-10)


def test_there_is_no_mean():
    made = PixelCnnPlusPlusDecoder(LATENT, SHAPE, 4, 1, 2)
    with pytest.raises(TypeError, match="no mean"):
        made.mean(torch.zeros(2, 16))
    assert made.constant_variance is None


@pytest.mark.parametrize(
    ("shape", "latent"), [((1, 8, 8), LATENT), ((3, 9, 8), LATENT), (SHAPE, (4, 1, 2))]
)
def test_images_that_do_not_fit_their_codes_are_refused(shape, latent):
    with pytest.raises(ValueError, match="three colours"):
        PixelCnnPlusPlusDecoder(latent, shape, 4, 1, 2)


def test_codes_whose_maps_do_not_quarter_are_refused():
    with pytest.raises(ValueError, match="multiple of 4"):
        PixelCnnPlusPlusDecoder((6, 2, 2), SHAPE, 4, 1, 2)
