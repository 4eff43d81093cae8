"""Laws for every registered method; a new one is tested by being registered."""

import inspect
import math
import re

import pytest
import torch
from fixtures import (
    ARGUMENTS,
    LATENT_CASES,
    METHOD_CASES,
    METHODS,
    WRONG_ARGUMENTS,
    Case,
    all_of,
    at,
    build,
    data_for,
    dataset,
    gradients,
    is_text,
    key_of,
    prepare,
)
from torch import nn

from vaebench import methods
from vaebench.data.dataset import DataInfo
from vaebench.errors import UserError
from vaebench.models.binary_pixelcnn import BinaryPixelCnn
from vaebench.models.latent import LatentModel
from vaebench.models.lstm import LstmDecoder
from vaebench.models.pixelcnn_pp import PixelCnnPlusPlusDecoder
from vaebench.training.recipe import Recipe

DATA = dataset()
WHERE = "igp-table12, row VAE"

every_method = pytest.mark.parametrize("name", METHODS)
every_case = pytest.mark.parametrize("case", METHOD_CASES, ids=str)
igp_case = pytest.mark.parametrize(
    "case", [case for case in METHOD_CASES if case.name.startswith("igp.")], ids=str
)
every_latent_case = pytest.mark.parametrize("case", LATENT_CASES, ids=str)


def arguments_of(name):
    """The first values for a method's arguments."""
    return next(dict(case.values) for case in METHOD_CASES if case.name == name)


def first_steps(case, count=3, seed=0):
    """The recipe after some training steps on the whole data, and the terms of each."""
    data = data_for(case)
    recipe, batch = build(case, data, seed), all_of(data.train)
    prepare(recipe, data)
    terms = [recipe.procedure.step(recipe.objective, batch, at(step + 1)) for step in range(count)]
    return recipe, terms


@every_method
def test_arguments_are_keywords_without_defaults(name):
    first, *others = inspect.signature(methods.methods()[name]).parameters.values()
    assert first.name == "data" and others
    for parameter in others:
        assert parameter.kind is inspect.Parameter.KEYWORD_ONLY
        assert parameter.default is inspect.Parameter.empty


@every_method
def test_the_docstring_says_what_it_is(name):
    function = methods.methods()[name]
    assert function.__doc__ and name == f"{function.__module__.split('.')[-1]}.{function.__name__}"


def images_of(recipe, z):
    """Decoded codes: autoregressive decoders have no mean, and some others nothing but that."""
    decoder = recipe.model.decoder
    drawn = isinstance(decoder, BinaryPixelCnn | PixelCnnPlusPlusDecoder | LstmDecoder)
    return (decoder.sample if drawn else decoder.mean)(z)


@every_latent_case
def test_it_builds_a_recipe_for_its_data(case):
    data = data_for(case)
    recipe = build(case, data)
    assert isinstance(recipe, Recipe) and isinstance(recipe.model, LatentModel)
    x = all_of(data.test).x
    z = recipe.model.infer(x).rsample(2)
    told = case.values.get("latent") or case.values["network"]["latent"]
    latent = recipe.model.prior.latent
    assert latent in (told, told * math.prod(data.info.shape[1:]) // 16)  # or so many maps
    assert z.shape == (2, len(x), latent)
    assert images_of(recipe, z).shape == (2, *x.shape)
    assert recipe.model.prior.sample(4, x.device).shape == (4, latent)


# The networks of AR-ELBO halve the image twice, and a PixelCNN has one channel.
SHAPES = {
    "igp": [(1, 2, 2), (1, 3, 5), (2, 4, 4)],
    "ar_elbo": [(1, 4, 12), (2, 8, 4), (3, 4, 4)],
    "du_vae": [(1, 3, 5), (1, 8, 8)],
    "mae": [(1, 3, 5), (1, 8, 8)],
    "densenet-pixelcnn++": [(3, 8, 8), (3, 16, 16)],
}


def shapes_of(case):
    network = case.values.get("network")
    kind = network.get("kind") if isinstance(network, dict) else None
    return SHAPES.get(kind) or SHAPES[case.name.partition(".")[0]]


@pytest.mark.parametrize(
    ("case", "shape"),
    [(case, shape) for case in LATENT_CASES if not is_text(case) for shape in shapes_of(case)],
    ids=str,
)
def test_it_builds_for_any_shape_of_data(case, shape):
    data = dataset(shape=shape)
    recipe, x = build(case, data), all_of(data.test).x
    assert recipe.objective(recipe.model, all_of(data.test), at(1))["loss"].isfinite()
    assert images_of(recipe, recipe.model.infer(x).mean).shape == x.shape


@igp_case
def test_igp_linear_layers_start_as_keras_starts_them(case):
    for layer in build(case, DATA).model.modules():
        if isinstance(layer, nn.Linear):
            bound = (6 / (layer.in_features + layer.out_features)) ** 0.5
            assert 0.5 * bound < layer.weight.abs().max() <= bound
            assert not layer.bias.any()


@every_case
def test_a_step_moves_every_parameter_and_keeps_all_finite(case):
    before = dict(build(case, data_for(case)).model.named_parameters())
    recipe, terms = first_steps(case, count=1)
    assert all(gradient.isfinite().all() for gradient in gradients(recipe.model).values())
    for name, parameter in recipe.model.named_parameters():
        # Adam's first step is as long in all dimensions: DU-VAE's scales are moved back from it.
        # A direction of one dimension, which a norm divides, has nowhere to go.
        bound = name.endswith(("head.mean.scale", "first.direction", "shortcut.direction"))
        bound = bound or name.endswith("conditions.last.direction")
        still = torch.equal(parameter, before[name]) and not bound
        assert parameter.isfinite().all() and not still, name
    assert "loss" in terms[0]
    for name, term in terms[0].items():
        assert term.shape == () and term.isfinite(), name


@every_case
def test_the_seed_decides_weights_and_training(case):
    (one, terms), (other, again) = first_steps(case), first_steps(case)
    assert terms == again
    for name, tensor in one.model.state_dict().items():
        assert torch.equal(tensor, other.model.state_dict()[name])
    different, other_terms = first_steps(case, seed=1)
    assert terms[0]["loss"] != other_terms[0]["loss"]
    for name, tensor in different.model.named_parameters():
        assert not torch.equal(tensor, one.model.get_parameter(name)), name


@every_case
def test_recipes_share_nothing(case):
    one, other = build(case, data_for(case)), build(case, data_for(case))
    assert one.procedure is not other.procedure
    mine = {parameter.data_ptr() for parameter in one.model.parameters()}
    assert mine.isdisjoint(parameter.data_ptr() for parameter in other.model.parameters())


@every_case
def test_the_objective_depends_on_its_arguments_and_the_noise_alone(case):
    data = data_for(case)
    recipe, batch = build(case, data), all_of(data.train)
    found = []
    for _ in range(2):
        torch.manual_seed(3)
        found.append(recipe.objective(recipe.model, batch, at(1)))
    assert found[0] == found[1] and list(found[0]) == list(found[1])


@pytest.mark.parametrize(
    "case", [c for c in METHOD_CASES if not c.name.endswith("semi_amortised")], ids=str
)
def test_in_bf16_the_loss_is_nearly_the_same_and_reaches_every_parameter(case):
    """But for SA-VAE's encoder, which its procedure reaches.

    oneDNN leaves the taps of a bfloat16 kernel that see no pixel as they were in memory, so no
    image may shrink to a single pixel before the last convolution.
    """
    data = data_for(case)
    if case.name.startswith("du_vae.") and not is_text(case):
        data = dataset(shape=(1, 8, 8))
    if case.name.startswith("mae.") and data.info.shape[0] == 1:
        data = dataset(shape=(1, 16, 16))
    recipe, batch = build(case, data), all_of(data.train)
    losses = []
    for precision in ("bf16", "float32"):
        torch.manual_seed(3)
        objective = recipe.at(precision, batch.x.device).objective
        loss = objective(recipe.model, batch, at(1))["loss"]
        loss.backward()
        losses.append(float(loss.detach()))
        assert all(gradient.isfinite().all() for gradient in gradients(recipe.model).values())
    assert losses[0] == pytest.approx(losses[1], rel=0.05, abs=0.5)


# What goes wrong is told in words.


@every_case
def test_complete_arguments_pass(case):
    methods.check(case.name, case.values, WHERE)


@every_method
def test_a_missing_argument_is_named(name):
    complete = arguments_of(name)
    for argument in complete:
        rest = {key: value for key, value in complete.items() if key != argument}
        with pytest.raises(UserError) as caught:
            methods.check(name, rest, WHERE)
        assert all(part in str(caught.value) for part in (WHERE, name, repr(argument), "missing"))


@every_method
def test_an_unknown_argument_is_named_with_the_nearest(name):
    for argument in arguments_of(name):
        with pytest.raises(UserError) as caught:
            methods.check(name, {**arguments_of(name), f"{argument}x": 1}, WHERE)
        told = str(caught.value)
        assert WHERE in told and name in told and f"did you mean {argument}" in told


@every_method
def test_an_unknown_method_is_named_with_the_nearest(name):
    with pytest.raises(UserError, match=re.escape(WHERE)) as caught:
        methods.check(f"{name}s", arguments_of(name), WHERE)
    assert f"{name}s" in str(caught.value) and re.search(rf"\b{name}\b", str(caught.value))


@pytest.mark.parametrize(
    ("name", "argument", "value"),
    [
        (name, argument, value)
        for name in METHODS
        for argument in arguments_of(name)
        for value in WRONG_ARGUMENTS[key_of(name, argument, WRONG_ARGUMENTS)]
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_a_wrong_value_is_refused_by_name(name, argument, value):
    data = data_for(Case(name, {}))
    with pytest.raises(UserError) as caught:
        methods.build(name, data.info, {**arguments_of(name), argument: value})
    assert name in str(caught.value) and argument in str(caught.value)


def test_every_argument_has_right_and_wrong_values():
    assert set(WRONG_ARGUMENTS) == set(ARGUMENTS)


def test_only_keywords_without_defaults_can_be_registered(monkeypatch):
    monkeypatch.setattr(methods, "_METHODS", dict(methods.methods()))
    known = set(methods.methods())

    def positional(data, latent):
        raise NotImplementedError

    def with_default(data, *, latent=32):
        raise NotImplementedError

    def good(data, *, latent):
        raise NotImplementedError

    for function, word in ((positional, "keyword-only"), (with_default, "default")):
        with pytest.raises(TypeError, match=rf"{function.__name__}: latent .*{word}"):
            methods.method(function)
    assert set(methods.methods()) == known
    assert methods.method(good) is good
    assert set(methods.methods()) - known == {"test_methods.good"}


# The paper's two posteriors at the paper's sizes.


@pytest.mark.parametrize(
    ("name", "arguments", "head"),
    [
        ("igp.autoencoder", {}, 6_432),
        ("igp.vae", {"posterior": "diagonal"}, 6_432 + 6_432),
        ("igp.vae", {"posterior": "isotropic"}, 6_432 + 201),
        ("igp.iwae", {"posterior": "diagonal", "samples": 50}, 6_432 + 6_432),
        ("igp.iwae", {"posterior": "isotropic", "samples": 50}, 6_432 + 201),
    ],
)
def test_igp_has_the_papers_network(name, arguments, head):
    mnist = DataInfo("mnist", "original", (1, 28, 28), 10, 60_000, 10_000)
    recipe = methods.build(name, mnist, {"latent": 32, "hidden": [200, 200], **arguments})
    inference = sum(parameter.numel() for parameter in recipe.model.inference_parameters())
    generative = sum(parameter.numel() for parameter in recipe.model.generative_parameters())
    assert (inference, generative) == (197_200 + head, 204_384)


@igp_case
def test_igp_decoders_mirror_the_encoder(case):
    model, hidden = build(case, DATA).model, case.values["hidden"]
    widths = {
        part: [layer.out_features for layer in module.modules() if isinstance(layer, nn.Linear)]
        for part, module in (("encoder", model.encoder), ("decoder", model.decoder))
    }
    pixels = all_of(DATA.test).x[0].numel()
    assert widths == {"encoder": hidden, "decoder": [*reversed(hidden), pixels]}


@pytest.mark.parametrize("name", ["igp.vae", "igp.iwae"])
def test_igp_posteriors_differ_in_the_variance_alone(name):
    variances = {}
    for case in METHOD_CASES:
        if case.name == name:
            posterior = build(case, DATA).model.infer(all_of(DATA.test).x)
            variances[case.values["posterior"]] = posterior.variance
    per_datum = {key: value.std(-1).max().item() for key, value in variances.items()}
    assert per_datum["isotropic"] < 1e-6 < 1e-3 < per_datum["diagonal"]
    assert variances["isotropic"][:, 0].std() > 1e-3  # and it is not one for all data
