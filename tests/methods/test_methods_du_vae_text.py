"""The methods of DU-VAE on text: sizes, how networks begin, and what SA-VAE draws again."""

import math

import pytest
import torch
from fixtures import all_of, at, gradients, prepare, text_dataset, training

from vaebench import methods
from vaebench.data.dataset import DataInfo
from vaebench.errors import UserError

YAHOO = DataInfo(
    *("yahoo", "original", (), 0, 100_000, 10_000, 10_000), vocabulary=20_001, longest=202
)
SHORT = DataInfo(
    *("yelp-short", "original", (), 2, 100_000, 10_000, 10_000), vocabulary=8_411, longest=17
)
PAPER = {"kind": "lstm", "width": 1, "latent": 32, "embedding": 512, "hidden": 1024}
OF_SHORT = {**PAPER, "embedding": 128, "hidden": 512}
SMALL = {"kind": "lstm", "width": 1, "latent": 3, "embedding": 20, "hidden": 30}
DATA = text_dataset()


def build(name, data=DATA.info, network=SMALL, **rest):
    torch.manual_seed(0)
    told = {"network": network, "annealing": {"start": 0.0, "epochs": 1.0}, **rest}
    return methods.build(f"du_vae.{name}", data, told)


def count(parameters):
    return sum(parameter.numel() for parameter in parameters)


@pytest.mark.parametrize(
    ("data", "network", "encoder", "decoder"),
    [(YAHOO, PAPER, 16_605_696, 37_185_024), (SHORT, OF_SHORT, 2_424_192, 6_779_776)],
)
def test_the_networks_have_the_papers_size(data, network, encoder, decoder):
    with torch.device("meta"):
        plain = build("vae", data, network).model
        normalised = build("bn_fixed_shift", data, network, shift=0.5).model
        trained = build("du_vae", data, network, gamma=0.5, keep=0.8).model
        flow = build("iaf_free_bits", data, network, bits=0.1).model
    assert count(plain.inference_parameters()) == encoder
    assert count(plain.generative_parameters()) == decoder
    assert count(normalised.inference_parameters()) == encoder + 32  # the shift is frozen
    assert count(trained.inference_parameters()) == encoder + 64
    more = 64 * network["hidden"] + 2 * 3_997_536  # a context, and two blocks of 1920 hidden units
    assert count(flow.inference_parameters()) == encoder + more


def largest(tensor):
    return float(tensor.detach().abs().max())


@pytest.mark.parametrize(
    ("name", "rest", "bound", "biases"),
    [
        ("vae", {}, 0.01, 0.01),
        ("delta_vae", {"delta": 0.1}, 0.01, 0.01),
        ("mae", {"diversity": 1.0, "smoothness": 0.2}, 0.01, 0.01),
        ("semi_amortised", {"refinements": 2}, 0.1, 0.1),
        ("iaf_free_bits", {"bits": 0.1}, 0.01, 0.0),
        ("iaf_bn", {"gamma": 0.5}, 0.01, 0.0),
        ("bn_vae", {"gamma": 0.5}, 1 / math.sqrt(30), 1 / math.sqrt(30)),
        ("du_vae", {"gamma": 0.5, "keep": 0.8}, 1 / math.sqrt(30), 1 / math.sqrt(30)),
        ("bn_fixed_shift", {"shift": 0.5}, 1 / math.sqrt(30), 1 / math.sqrt(30)),
    ],
)
def test_encoders_begin_as_in_the_code(name, rest, bound, biases):
    model = build(name, **rest).model
    assert model.head.linear.bias is None
    assert 0.9 * bound < largest(model.head.linear.weight) <= bound
    for part, value in model.encoder.lstm.named_parameters():
        limit = biases if "bias" in part else bound
        assert 0.9 * limit <= largest(value) <= limit, part
    embedding = model.encoder.embedding.weight.detach()
    if bound == 1 / math.sqrt(30):  # torch's: standard normal
        assert 0.85 < float(embedding.std()) < 1.15
    else:
        assert 0.09 < largest(embedding) <= 0.1


@pytest.mark.parametrize(("name", "bound"), [("vae", 0.01), ("semi_amortised", 0.1)])
def test_decoders_begin_uniform(name, bound):
    rest = {"refinements": 2} if name == "semi_amortised" else {}
    decoder = build(name, **rest).model.decoder
    for part, value in decoder.named_parameters():
        limit = 0.1 if part.startswith("embedding") else bound
        assert 0.9 * limit < largest(value) <= limit, part


def test_a_fixed_shift_stays_and_its_scales_are_trained_freely():
    recipe = build("bn_fixed_shift", shift=0.7)
    prepare(recipe, DATA, training(lr=0.1))
    x = all_of(DATA.train).x
    torch.testing.assert_close(recipe.model.infer(x).mean.mean(0), torch.full((3,), 0.7))
    for step in range(5):
        recipe.procedure.step(recipe.objective, all_of(DATA.train), at(step + 1))
    mean = recipe.model.infer(x).mean
    torch.testing.assert_close(mean.mean(0), torch.full((3,), 0.7))
    scales = recipe.model.head.mean.scale.detach()
    torch.testing.assert_close(mean.std(0, correction=0), scales.abs(), rtol=1e-2, atol=1e-3)
    assert float((scales.square().mean() - 1).abs()) > 0.01  # nothing holds them


def test_semi_amortised_gradients_go_through_the_refinement_and_the_dropout_of_its_steps():
    """The gradient of the encoder is that through the unrolled steps."""
    recipe = build("semi_amortised", refinements=2)
    model = recipe.model
    prepare(recipe, DATA)
    torch.manual_seed(3)
    recipe.procedure.step(recipe.objective, all_of(DATA.train), at(1))
    assert all(value.isfinite().all() for value in gradients(model).values())
    assert any(float(value.abs().max()) > 0 for value in gradients(model.encoder).values())


def test_networks_are_for_their_kind_of_data():
    images = DataInfo("mnist", "original", (1, 28, 28), 10, 100, 100)
    pixels = {"kind": "resnet-pixelcnn", "width": 1, "latent": 3}
    with pytest.raises(UserError, match="lstm is for text; mnist is images"):
        build("vae", images)
    with pytest.raises(UserError, match="resnet-pixelcnn is for images; sentences is text"):
        build("vae", network=pixels)
    with pytest.raises(UserError, match=r"network\.hidden is 0"):
        build("vae", network={**SMALL, "hidden": 0})
