"""Laws for every registered evaluator; a new one is tested by being registered."""

import inspect
import json
import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from fixtures import EVALUATOR_CASES, METHOD_CASES, build, dataset, is_text, text_dataset, training
from torch import nn

from vaebench import evaluation
from vaebench.errors import UserError
from vaebench.evaluation import encoding
from vaebench.execution.single import evaluate
from vaebench.registry.canonical import canonical
from vaebench.registry.runs import DataView, Evaluation, Run
from vaebench.store.store import Store

DATA = dataset(train=61, test=37)
SENTENCES = text_dataset(train=61, test=37)
WHERE = "igp-table12"
PLAIN = (int, float, str)  # what a spec says; all else comes from the engine

every_evaluator = pytest.mark.parametrize("name", evaluation.evaluators())
every_case = pytest.mark.parametrize("case", EVALUATOR_CASES, ids=str)
# A Gaussian posterior, an isotropic one and none at all.
MODELS = [case for case in METHOD_CASES if case.name in ("igp.autoencoder", "igp.vae")]
TEXT_MODELS = [case for case in METHOD_CASES if case.name == "du_vae.vae" and is_text(case)]
# Evaluators of sentences alone, and of codes in a plane.
OF_SENTENCES = (
    *("sentence_classifiers", "prior_sentences", "interpolated_sentences"),
    *("reconstructed_sentences", "reconstructed_labels", "generated_perplexity", "dense_probes"),
    *("completed_sentence", "few_shot_probes"),
)
LANGUAGE_MODELS = [case for case in METHOD_CASES if case.name == "judges.language_model"]
OF_PLANES = ("aggregated_posterior",)

# Evaluators that take or show the first examples, or pair each with a draw of its own.
ORDERED = (
    "oversmoothing",
    "reconstructed_images",
    "perturbed_decodings",
    "latent_map",
    "mean_map",
    "averaged_map",
    "averaged_reconstructions",
    "interpolated_samples",
    "alphabet_classifiers",
    "importance_weighted",
    "interpolated_sentences",
    "aggregated_posterior",
    "posterior_shape",
    "dense_probes",
    "few_shot_probes",
    "completed_sentence",
    "mutual_divergence",
)
DRAWN_FROM_PAIRS = ("mid-point", "random-point")


def ordered(case):
    return case.name in ORDERED or case.values.get("latents") in DRAWN_FROM_PAIRS


def models_of(case):
    """The models that an evaluator is tried on."""
    if case.name in OF_SENTENCES:
        return TEXT_MODELS
    if case.name == "perplexity":
        return LANGUAGE_MODELS
    if case.name in OF_PLANES:
        plane = [replace(model, values={**model.values, "latent": 2}) for model in MODELS]
        return [model for model in plane if model.name != "igp.autoencoder"]
    return MODELS


def each(wanted):
    """Evaluators and the models of each."""
    found = [(case, model) for case in EVALUATOR_CASES if wanted(case) for model in models_of(case)]
    return pytest.mark.parametrize(("case", "model"), found, ids=str)


every_pair = each(lambda case: True)
every_unordered_pair = each(lambda case: not ordered(case))
# t-SNE magnifies rounding.
every_smooth_pair = each(lambda c: c.name not in ("latent_map", "mean_map", "averaged_map"))


class Sums(nn.Module):
    """Features that cost nothing."""

    def forward(self, images):
        return torch.cat([images.sum((1, 2)), images.square().sum((1, 3))], 1)


@pytest.fixture(autouse=True)
def no_inception(monkeypatch):
    """Its own tests are elsewhere."""
    monkeypatch.setattr("vaebench.models.inception.load", lambda path: Sums())


def made(model, noise=True):
    """The model of a method in evaluation mode. Without noise its posteriors are so narrow that a
    draw is the mean, to the last bit but one; their divergence stays finite."""
    built = build(model, data_of(model)).model.eval()
    log_variance = getattr(getattr(built, "head", None), "log_variance", None)
    if not noise and log_variance is not None:
        with torch.no_grad():
            log_variance.weight.zero_()
            log_variance.bias.fill_(-40)
    return built


def data_of(model):
    return SENTENCES if is_text(model) else DATA


def run_of(model, seed=0):
    view = DataView(dataset="mnist", pixels="real")
    return Run(model.name, dict(model.values), view, training(), seed, "igp", 1)


def measure(case, model, data, root, run=None):
    """Values and arrays of an evaluation, as execution makes them."""
    told = {key: value for key, value in case.values.items() if isinstance(value, PLAIN)}
    given = {key: value for key, value in case.values.items() if key not in told}
    store, entry = Store(root), Evaluation(case.name, told)
    run = run or run_of(MODELS[0])
    with pytest.MonkeyPatch.context() as patch:
        function = partial(evaluation.evaluators()[case.name], **given)
        patch.setitem(evaluation._EVALUATORS, case.name, function)
        values = evaluate(run, entry, model, data, store)
    path = store.array(run.id, entry)
    arrays = dict(np.load(path, allow_pickle=False)) if path.exists() else {}
    return values, arrays


def assert_close(found, expected, rel=1e-5):
    """Equal but for rounding; a pixel may round to its neighbour."""
    values, arrays = found
    expected_values, expected_arrays = expected
    assert list(values) == list(expected_values) and list(arrays) == list(expected_arrays)
    for name, value in values.items():
        wanted = expected_values[name]
        if isinstance(wanted, int | float):
            wanted = pytest.approx(wanted, rel=rel, abs=rel)
        assert value == wanted, name
    for name, array in arrays.items():
        difference = array.astype(float) - expected_arrays[name].astype(float)
        assert np.abs(difference).max() <= (1 if array.dtype.kind in "ui" else rel), name


@every_pair
def test_it_gives_plain_values_or_arrays(case, model, tmp_path):
    found = evaluation.evaluators()[case.name](made(model), data_of(model), **case.values)
    assert found
    for name, value in found.items():
        assert type(name) is str
        if isinstance(value, np.ndarray):
            assert value.dtype != object and value.size
        else:
            assert value is None or type(value) in (float, int, str), name
            assert value is None or type(value) is str or math.isfinite(value)
    values, arrays = measure(case, made(model), data_of(model), tmp_path)
    assert json.loads(canonical(values)) == values
    assert sorted([*values, *arrays]) == sorted(found)


@every_pair
def test_it_is_deterministic_whatever_came_before(case, model, tmp_path):
    torch.manual_seed(0)
    values, arrays = measure(case, made(model), data_of(model), tmp_path / "one")
    torch.manual_seed(12345)
    torch.randn(77)
    again, same_arrays = measure(case, made(model), data_of(model), tmp_path / "other")
    assert again == values and list(same_arrays) == list(arrays)
    assert all(np.array_equal(same_arrays[name], array) for name, array in arrays.items())


@every_smooth_pair
@pytest.mark.parametrize("chunk", [1, 7, 36, 37, 60])
def test_the_chunk_size_changes_nothing_but_rounding(case, model, chunk, monkeypatch, tmp_path):
    data, model = data_of(model), made(model, noise=False)
    whole = measure(case, model, data, tmp_path / "whole")
    monkeypatch.setattr(encoding, "CHUNK", chunk)
    monkeypatch.setattr(encoding, "_SENTENCES", chunk)
    sizes = [len(batch.y) for batch in encoding.chunks(data.test)]
    most = 37 if data is DATA else int(torch.bincount(data.test.lengths).max())
    assert max(sizes) == min(chunk, most) and sum(sizes) == 37  # the change is felt
    assert_close(measure(case, model, data, tmp_path / "parts"), whole)


@every_unordered_pair
def test_the_order_of_the_test_set_does_not_matter(case, model, tmp_path):
    data, model = data_of(model), made(model, noise=False)
    order = torch.randperm(len(data.test), generator=torch.Generator().manual_seed(0))
    if data is DATA:
        test = replace(data.test, images=data.test.images[order], labels=data.test.labels[order])
    else:
        test = data.test.some(order)
    shuffled = replace(data, test=test)
    expected = measure(case, model, data, tmp_path / "one")
    assert_close(measure(case, model, shuffled, tmp_path / "other"), expected)


@every_pair
def test_it_leaves_model_and_data_as_they_were(case, model, tmp_path):
    data, model = data_of(model), made(model)
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    tensors = [*data.train.tensors.values(), *data.test.tensors.values()]
    copies = [tensor.clone() for tensor in tensors]
    measure(case, model, data, tmp_path)
    assert not any(module.training for module in model.modules())
    assert all(torch.equal(model.state_dict()[name], weights[name]) for name in weights)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert all(map(torch.equal, tensors, copies))


def test_the_run_and_the_parameters_seed_the_noise(tmp_path):
    case = next(case for case in EVALUATOR_CASES if case.name == "prior_means")
    model = made(MODELS[0])
    found = {
        (seed, count): measure(
            replace(case, values={"count": count}), model, DATA, tmp_path, run_of(MODELS[0], seed)
        )[1]["images"][:5]
        for seed in (0, 1)
        for count in (5, 6)
    }
    keys = list(found)
    pairs = [(a, b) for a in keys for b in keys if a < b]
    assert not any(np.array_equal(found[a], found[b]) for a, b in pairs)


@pytest.mark.parametrize("size", [1, 5, 37])
def test_chunks_are_the_split_in_its_order(size, monkeypatch):
    monkeypatch.setattr(encoding, "CHUNK", size)
    batches = list(encoding.chunks(DATA.test))
    everything = DATA.test.take(torch.arange(37))
    assert torch.equal(torch.cat([batch.x for batch in batches]), everything.x)
    assert torch.equal(torch.cat([batch.y for batch in batches]), everything.y)


# What goes wrong is told in words.


@every_case
def test_complete_parameters_pass(case):
    evaluation.check(case.name, case.values, WHERE)


@every_evaluator
def test_an_unknown_evaluator_is_named_with_the_nearest(name):
    with pytest.raises(UserError) as caught:
        evaluation.check(f"{name}x", {}, WHERE)
    assert WHERE in str(caught.value) and f"did you mean {name}" in str(caught.value)


@every_evaluator
def test_an_unknown_parameter_is_named(name):
    complete = next(dict(case.values) for case in EVALUATOR_CASES if case.name == name)
    with pytest.raises(UserError) as caught:
        evaluation.check(name, {**complete, "temperature": 1}, WHERE)
    assert all(part in str(caught.value) for part in (WHERE, name, "'temperature'"))


@every_evaluator
def test_a_missing_parameter_is_named(name):
    complete = next(dict(case.values) for case in EVALUATOR_CASES if case.name == name)
    parameters = inspect.signature(evaluation.evaluators()[name]).parameters
    for missing in complete:
        if parameters[missing].default is not inspect.Parameter.empty:
            continue
        rest = {key: value for key, value in complete.items() if key != missing}
        with pytest.raises(UserError) as caught:
            evaluation.check(name, rest, WHERE)
        assert all(part in str(caught.value) for part in (WHERE, name, repr(missing)))
