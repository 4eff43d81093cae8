"""Judges of sentences: their sizes, their losses, that they learn, and what they learn from."""

import copy
import math
import shutil

import pytest
import torch
from fixtures import all_of, at, dataset, prepare, text_dataset, training
from torch.nn import functional as F

from vaebench import methods
from vaebench.data.dataset import DataInfo
from vaebench.data.tokenizers import BOS, EOS, PAD
from vaebench.errors import UserError
from vaebench.training import checkpoints
from vaebench.training.loop import train
from vaebench.training.procedures import Setting

CPU = torch.device("cpu")
DBPEDIA = DataInfo(
    *("dbpedia", "original", (), 14, 140_000, 14_000, 14_000), vocabulary=12_003, longest=60
)
PAPER = {"embedding": 200, "hidden": 512}
SMALL = {"embedding": 6, "hidden": 8}
DATA = text_dataset()
NAMES = ("language_model", "sentence_classifier")
COUNT, EPOCHS, SEED = 37, 3, 4


def build(name, info=DATA.info, seed=0, **told):
    torch.manual_seed(seed)
    return methods.build(f"judges.{name}", info, told or SMALL)


def source(seed=0, prior="gaussian"):
    """An autoencoder whose sentences differ and have an end, as an input comes."""
    network = {"embedding": 6, "hidden": 8, "latent": 3}
    told = {"posterior": "diagonal", "prior": prior, "target": 1.0, "ramp": 0, "beta": 1.0}
    torch.manual_seed(seed)
    model = methods.build("igp_text.vae", DATA.info, {"network": network, **told}).model
    model.eval().requires_grad_(False)
    for values in model.decoder.parameters():
        values.normal_(0, 2)
    return model


def sampled(given, seed=SEED, count=COUNT):
    return build("sampled_language_model", seed=seed, **SMALL, count=count, source=given)


def size_of(module):
    return sum(values.numel() for values in module.parameters())


# Sections 3.5 and 3.6.


def test_the_judges_have_the_papers_sizes():
    with torch.device("meta"):
        language = build("language_model", DBPEDIA, **PAPER).model
        classifier = build("sentence_classifier", DBPEDIA, **PAPER).model
    lstm = 4 * 512 * (200 + 512 + 1)
    assert size_of(language) == 12_003 * 200 + lstm + 12_003 * 513
    dense = 513 * 128 + 129 * 128 + 129 * 14
    assert size_of(classifier) == 12_003 * 200 + lstm + dense


def test_the_loss_of_a_language_model_is_that_of_every_word():
    recipe, x = build("language_model"), all_of(DATA.train).x
    recipe.model.train()
    recipe.model.requires_grad_(False)
    total = 0.0
    for row in x:
        h = recipe.model.decoder.embedding(row[:-1])[:, None]
        logits = recipe.model.decoder.output(recipe.model.decoder.lstm(h))[:, 0]
        total += float(F.cross_entropy(logits, row[1:], ignore_index=PAD, reduction="sum"))
    found = recipe.objective(recipe.model, all_of(DATA.train), at(1))
    assert list(found) == ["loss"]
    assert float(found["loss"]) == pytest.approx(total / len(x), rel=1e-5)


def test_the_loss_of_a_classifier_is_the_cross_entropy_of_its_classes():
    recipe, batch = build("sentence_classifier"), all_of(DATA.train)
    found = recipe.objective(recipe.model, batch, at(1))
    p = recipe.model(batch.x).softmax(1)[torch.arange(len(batch.y)), batch.y]
    assert found["loss"].item() == pytest.approx(-p.log().mean().item(), rel=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_a_judge_learns(name):
    recipe, batch = build(name), all_of(DATA.train)
    prepare(recipe, DATA, training(lr=0.02))
    terms = [recipe.procedure.step(recipe.objective, batch, at(i + 1)) for i in range(60)]
    if name == "sentence_classifier":
        assert float(terms[-1]["accuracy"]) > 95 > float(terms[0]["accuracy"])
    else:  # within a sentence three words are alike
        words = float((DATA.train.lengths - 1).double().mean())
        assert float(terms[0]["loss"]) > 0.95 * words * math.log(13)
        assert float(terms[-1]["loss"]) < 0.7 * words * math.log(13)


def test_they_want_text_and_classes():
    images, unlabelled = dataset().info, DataInfo(**vars(DATA.info) | {"classes": 0})
    for name in NAMES:
        with pytest.raises(UserError, match="synthetic is images, and this judge is for text"):
            build(name, images)
    with pytest.raises(UserError, match="sentences has no classes"):
        build("sentence_classifier", unlabelled)
    assert build("language_model", unlabelled).model is not None


@pytest.mark.parametrize("count", [0, -1, 2.5, "ten", True, None])
def test_a_number_of_sentences_is_one(count):
    with pytest.raises(UserError, match="expected a number from 1"):
        sampled(source(), count=count)


# What one learns from that learns from another model.


def plain_sentence(decoder, code, most):
    """Greedily, by the decoder's likelihoods of whole beginnings: words without <s> and </s>."""
    row = [BOS]
    while len(row) <= most:
        options = [torch.tensor([*row, word]) for word in range(DATA.info.vocabulary)]
        scores = decoder.log_prob(torch.stack(options), code.expand(1, len(options), -1))[0]
        scores[[PAD, BOS]] = -torch.inf
        word = int(scores.argmax())
        if word == EOS:
            break
        row.append(word)
    return row[1:]


def words_of(split):
    rows = [split.take(torch.tensor([i])).x[0].tolist() for i in range(len(split))]
    assert all((row[0], row[-1]) == (BOS, EOS) and EOS not in row[1:-1] for row in rows)
    return [row[1:-1] for row in rows]


@pytest.mark.parametrize(("prior", "seed"), [("gaussian", 0), ("mog", 4)])
def test_the_examples_are_greedy_sentences_of_the_sources_prior(prior, seed):
    given = source(seed, prior)
    recipe = sampled(given)
    torch.manual_seed(11)
    found = words_of(recipe.examples(DATA.train))
    torch.manual_seed(11)
    codes = given.prior.sample(COUNT, CPU)
    most = DATA.info.longest - 1
    assert found == [plain_sentence(given.decoder, code, most) for code in codes]
    assert len({tuple(row) for row in found}) > 5
    assert any(len(row) == most for row in found) and any(len(row) < most for row in found)


def test_its_examples_fit_its_vocabulary_and_are_scored():
    recipe = sampled(source())
    split = recipe.examples(DATA.train)
    assert len(split) == COUNT and int(split.tokens.max()) < DATA.info.vocabulary
    assert int((split.lengths - 2).max()) <= DATA.info.longest - 1
    assert recipe.model.log_prob(all_of(split).x).isfinite().all()
    assert size_of(recipe.model) == size_of(build("language_model").model)


def test_they_are_made_once_for_all_splits():
    recipe = sampled(source())
    first = recipe.examples(DATA.train)
    state = torch.get_rng_state()
    assert recipe.examples(DATA.validation) is first
    assert torch.equal(torch.get_rng_state(), state)
    assert sampled(source()).examples(DATA.train) is not first


def test_the_seed_decides_them_and_the_source_is_left_as_it_was():
    given = source()
    before = copy.deepcopy(given.state_dict())
    one, same, other = (sampled(given, seed).examples(DATA.train) for seed in (1, 1, 2))
    assert torch.equal(one.tokens, same.tokens) and torch.equal(one.lengths, same.lengths)
    assert words_of(one) != words_of(other)
    assert words_of(one) != words_of(sampled(source(seed=9), 1).examples(DATA.train))
    assert all(torch.equal(given.state_dict()[name], value) for name, value in before.items())


def test_the_weights_are_its_own():
    """The source is nothing that it keeps or trains."""
    recipe = sampled(source())
    assert {*recipe.model.state_dict()} == {*build("language_model").model.state_dict()}
    setting = Setting(recipe.model, training(), recipe.examples(DATA.train), None)
    assert len(setting.batching.everything()) == math.ceil(COUNT / 16)


# A stop leaves no trace.


class Stop(Exception):
    """A kill."""


def run(checkpoint, epochs=EPOCHS, stop_after=None):
    torch.manual_seed(99)
    torch.rand(17)  # whatever happened in the process before
    recipe = sampled(source())

    def report(epoch, terms):
        if epoch == stop_after:
            raise Stop

    torch.manual_seed(SEED)
    trained = train(
        *(recipe, DATA, training(epochs)),
        seed=SEED,
        device=CPU,
        checkpoint=checkpoint,
        report=report,
    )
    return trained, recipe


def test_a_run_goes_on_as_if_it_had_never_stopped(tmp_path):
    straight, whole = run(tmp_path / "straight.pt")
    with pytest.raises(Stop):
        run(tmp_path / "stopped.pt", stop_after=2)
    assert len(checkpoints.load(tmp_path / "stopped.pt")["history"]) == 1
    shutil.copy(tmp_path / "stopped.pt", tmp_path / "again.pt")
    resumed, other = run(tmp_path / "stopped.pt")
    assert resumed.history == straight.history and len(straight.history) == EPOCHS
    assert straight.history[-1]["loss"] < straight.history[0]["loss"]
    for name, value in whole.model.state_dict().items():
        assert torch.equal(other.model.state_dict()[name], value), name
    one, again = (recipe.examples(DATA.train).tokens for recipe in (whole, other))
    assert torch.equal(one, again)
    assert run(tmp_path / "again.pt")[0].history == straight.history
