"""The statistics and the baselines of the throughput suite; nothing here is timed."""

import importlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from fixtures import at, within

from vaebench.data.dataset import Batch

SETTINGS = ("ar-elbo-plain", "ar-elbo-mnist", "ar-elbo-celeba")


@pytest.fixture
def script(monkeypatch):
    """Imports a script of the suite."""
    monkeypatch.syspath_prepend(
        str(Path(__file__).resolve().parents[1] / "benchmarks" / "throughput")
    )
    return importlib.import_module


@pytest.fixture
def timing(script):
    return script("timing")


def test_every_side_is_first_in_its_turn(timing):
    log = []

    def side(name):
        return timing.Side(name, lambda: log.append(f"enter {name}"), lambda: log.append(name), 0)

    turns = timing.interleave([side("a"), side("b")], rounds=2)
    first, second = ["enter a", "a", "a"], ["enter b", "b", "b"]
    assert log == [*first, *second, *first, *second, *second, *first]  # the warm-up, then two
    assert {name: len(of_side) for name, of_side in turns.items()} == {"a": 2, "b": 2}
    assert all(turn.seconds >= 0 and turn.faults >= 0 for turn in turns["a"])


def test_ratios_are_of_one_round_and_the_spread_is_theirs(timing):
    slow = [timing.Turn(seconds, 2 * seconds, 0) for seconds in (6.0, 8.0, 30.0)]
    fast = [timing.Turn(seconds, seconds, 0) for seconds in (2.0, 4.0, 10.0)]
    assert timing.ratios(slow, fast) == [3.0, 2.0, 3.0]
    assert timing.cpu_ratios(slow, fast) == [6.0, 4.0, 6.0]
    assert timing.spread([3.0, 2.0, 4.0]) == timing.Spread(3.0, 2.0, 4.0, 3)
    with pytest.raises(ValueError):
        timing.ratios(slow, fast[:2])


@pytest.mark.parametrize("name", SETTINGS)
def test_the_plain_loop_has_our_parameters(script, name):
    ar_elbo = script("ar_elbo")
    with torch.device("meta"):
        ours, theirs = ar_elbo.SETTINGS[name].recipe().model, ar_elbo.SETTINGS[name].network()
    expected = {key: weight.shape for key, weight in ar_elbo.renamed(ours).items()}
    assert {key: weight.shape for key, weight in theirs.named_parameters()} == expected


@pytest.mark.parametrize("name", ["ar-elbo-plain", "ar-elbo-mnist"])
def test_the_plain_loop_has_our_gradients(script, name):
    ar_elbo = script("ar_elbo")
    setting = ar_elbo.SETTINGS[name]
    recipe, network = setting.recipe(), setting.network()
    ar_elbo.share_weights(recipe, network)
    x = torch.rand(4, *setting.info.shape)
    torch.manual_seed(0)
    batch = Batch(x, torch.zeros(4, dtype=torch.int64))
    recipe.objective(recipe.model, batch, at(1))["loss"].backward()
    torch.manual_seed(0)
    error, kl = network(x)
    (setting.reconstruction(error, 784) + kl).backward()
    gradients = {key: weight.grad for key, weight in ar_elbo.renamed(recipe.model).items()}
    largest = max(gradient.norm() for gradient in gradients.values())
    for key, weight in network.named_parameters():
        assert (weight.grad - gradients[key]).norm() <= 1e-4 * largest, key


def test_the_plain_way_of_du_vae_has_our_loss_and_gradients(script):
    """But at masked taps, where it has gradients that move nothing."""
    du_vae = script("du_vae")
    recipe, theirs = du_vae.recipe(), script("du_vae_plain").PlainVae()
    du_vae.share_weights(recipe.model, theirs)
    x = torch.rand(4, 1, 28, 28, generator=torch.Generator().manual_seed(0)).round()
    torch.manual_seed(0)
    batch = Batch(x, torch.zeros(4, dtype=torch.int64))
    loss = recipe.objective(recipe.model, batch, at(1))["loss"]
    torch.manual_seed(0)
    expected = theirs.loss(x)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    loss.backward()
    expected.backward()
    weights = dict(recipe.model.named_parameters())
    largest = max(weight.grad.norm() for weight in weights.values())
    for name, weight in theirs.named_parameters():
        found, wanted = weights[name].grad, weight.grad
        if found.shape != wanted.shape:
            wanted = wanted[:, :, : found.shape[2]]
        seen = found != 0
        assert seen.float().mean() > 0.5, name
        assert (found - wanted)[seen].norm() <= 1e-4 * largest, name


def test_the_plain_mutual_information_is_ours(script):
    pair = script("du_vae").build_information(script("cases").Numerics("cpu", 1, "default"), 1)
    assert pair.difference < 1e-6


def test_the_plain_way_of_text_has_our_loss_and_gradients(script, monkeypatch):
    text, plain = script("text"), script("text_plain")
    sizes = {"VOCABULARY": 30, "EMBEDDING": 6, "HIDDEN": 8, "LATENT": 3, "WORDS": 5, "SIZE": 4}
    for name, size in sizes.items():
        monkeypatch.setattr(text, name, size)
        monkeypatch.setattr(plain, name, size, raising=False)
    monkeypatch.setattr(text, "INFO", replace(text.INFO, vocabulary=30, longest=6))
    recipe, theirs, batch = text.recipe(), plain.PlainVae(), text.data().take(torch.arange(4))
    text.share_weights(recipe.model, theirs)
    recipe.model.eval()
    theirs.eval()
    torch.manual_seed(0)
    loss = recipe.objective(recipe.model, batch, at(1))["loss"]
    torch.manual_seed(0)
    expected = theirs.loss(batch.x)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    loss.backward()
    expected.backward()
    found = text.renamed(recipe.model)
    for name, weight in theirs.named_parameters():
        torch.testing.assert_close(found[name].grad, weight.grad, rtol=1e-3, atol=1e-6)


def test_the_plain_likelihood_of_a_sentence_is_ours(script, monkeypatch):
    """In expectation of the noise, which is drawn in other chunks."""
    text, plain = script("text"), script("text_plain")
    for name, size in {"VOCABULARY": 30, "EMBEDDING": 6, "HIDDEN": 8, "LATENT": 3}.items():
        monkeypatch.setattr(text, name, size)
        monkeypatch.setattr(plain, name, size)
    monkeypatch.setattr(text, "WORDS", 5)
    monkeypatch.setattr(text, "INFO", replace(text.INFO, vocabulary=30, longest=6))
    model, theirs, x = (
        text.recipe().model.eval(),
        plain.PlainVae().eval(),
        text.data().take(torch.arange(3)).x,
    )
    text.share_weights(model, theirs)
    torch.manual_seed(0)
    ours = torch.stack([text.importance_log_likelihoods(model, x, 500) for _ in range(20)])
    plainly = torch.stack([-theirs.nll(x) for _ in range(20)])
    assert within(ours.exp() - plainly.exp(), 0.0)


@pytest.fixture
def igp_text(script, monkeypatch):
    """The case and its baseline with small sizes."""
    text, plain = script("igp_text"), script("igp_text_plain")
    sizes = {"VOCABULARY": 30, "EMBEDDING": 6, "HIDDEN": 8, "LATENT": 3}
    for name, size in {**sizes, "SIZE": 6, "WORDS": 4, "LONGEST": 7}.items():
        monkeypatch.setattr(text, name, size)
        monkeypatch.setattr(plain, name, size, raising=False)
    monkeypatch.setattr(text, "INFO", replace(text.INFO, vocabulary=30, longest=8))
    return text, plain


def test_the_plain_way_of_igp_has_our_loss_and_gradients(igp_text):
    """On sentences of several lengths, whose padding counts on neither side."""
    text, plain = igp_text
    recipe, theirs, batch = text.recipe(), plain.PlainVae(), text.data().take(torch.arange(6))
    assert (batch.x == 0).any()
    text.share_weights(recipe.model, theirs)
    torch.manual_seed(0)
    loss = recipe.objective(recipe.model, batch, at(1))["loss"]
    torch.manual_seed(0)
    expected = theirs.loss(batch.x)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    loss.backward()
    expected.backward()
    found = text.renamed(recipe.model)
    for name, weight in theirs.named_parameters():
        if not name.endswith("bias_hh_l0"):  # which Keras has not
            torch.testing.assert_close(found[name].grad, weight.grad, rtol=1e-3, atol=1e-6)


def test_the_plain_way_of_decoding_says_our_words(igp_text):
    """Up to the end of each sentence, after which ours says nothing more."""
    text, plain = igp_text
    model, theirs = text.recipe().model, plain.PlainVae()
    decoder = text.talkative(model)
    with torch.no_grad():  # <s> and padding are words there and never the likeliest here
        decoder.output.bias[:3] += torch.tensor([-100.0, -100.0, 0.0])
        said = text.decoding.greedy(decoder, z := text.codes(50), 7)
    text.share_weights(model, theirs)
    wanted = theirs.decode(z, 7)[:, : said.shape[1]]
    lengths = text.decoding.word_counts(said)
    assert 0 < lengths.float().mean() < 7
    assert torch.equal(said[said != 0], wanted[said != 0])


@pytest.fixture
def mae(script, monkeypatch):
    """The case and its baseline with small images and codes."""
    case, plain = script("mae"), script("mae_plain")
    for name, size in {"SIDE": 6, "LATENT": 4, "BATCH": 6}.items():
        monkeypatch.setattr(case, name, size)
        monkeypatch.setattr(plain, name, size)
    monkeypatch.setattr(case, "INFO", replace(case.INFO, shape=(1, 6, 6), train_size=100))
    return case, plain


def check_gradients(recipe, theirs, batch, case):
    """The plain way has our loss and our gradients; those that it has at masked taps move
    nothing."""
    torch.manual_seed(0)
    loss = recipe.objective(recipe.model, batch, at(1))["loss"]
    torch.manual_seed(0)
    expected = theirs.loss(batch.x)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)
    loss.backward()
    expected.backward()
    ours = case.renamed({name: weight.grad for name, weight in recipe.model.named_parameters()})
    largest = max(gradient.norm() for gradient in ours.values())
    for name, weight in theirs.named_parameters():
        part, kind = name.rsplit(".", 1)
        mask = getattr(theirs.get_submodule(part), "mask", 1) if kind == "direction" else 1
        found, wanted = ours.pop(name), weight.grad * mask
        assert (wanted != 0).any(), name
        assert (found - wanted).norm() <= 1e-4 * largest, name
    assert not ours


def test_the_plain_way_of_mae_has_our_loss_and_gradients(mae):
    case, plain = mae
    recipe, theirs = case.recipe(), plain.plain_vae()
    case.share_weights(case.renamed(dict(recipe.model.named_parameters())), theirs)
    check_gradients(recipe, theirs, case.data().take(torch.arange(6)), case)


def test_the_plain_regulariser_of_mae_is_ours(mae):
    case, plain = mae
    inputs = case.posteriors()
    ours, theirs = case.our_regulariser(*inputs), plain.regulariser(*inputs, 1.0, 0.5)
    torch.testing.assert_close(ours, theirs)
    for found, wanted in zip(
        *(torch.autograd.grad(a, inputs) for a in (ours, theirs)), strict=True
    ):
        torch.testing.assert_close(found, wanted)


def test_the_plain_likelihood_of_mae_is_ours(mae):
    """Of one image, for which both draw the same noise in the same order."""
    case, _ = mae
    model, theirs = case.pair_of_models()
    x = case.data().take(torch.arange(1)).x
    torch.manual_seed(0)
    ours = case.importance_log_likelihoods(model, x, 50)
    torch.manual_seed(0)
    torch.testing.assert_close(ours.float(), -theirs.nll(x, 50), rtol=1e-5, atol=0.0)


def test_the_plain_way_of_mae_draws_our_images(mae):
    case, _ = mae
    model, theirs = case.pair_of_models()
    drawn = []
    for decoder in (model.decoder, theirs.decoder):
        torch.manual_seed(0)
        drawn.append(decoder.sample(torch.randn(5, 4)))
    assert 0 < drawn[0].mean() < 1
    assert torch.equal(*drawn)


def test_a_step_of_ours_moves_the_average_of_the_weights(mae):
    case, _ = mae
    recipe = case.recipe()
    ours, _ = case.our_steps(recipe, case.data(), compiled=False)  # of one step
    before = [average.clone() for average in ours.average.state_dict()]
    ours.step()
    after, weights = ours.average.state_dict(), list(recipe.model.parameters())
    for old, new, weight in zip(before, after, weights, strict=True):
        torch.testing.assert_close(new, old + 0.001 * (weight - old))
    assert any(not torch.equal(old, new) for old, new in zip(before, after, strict=True))


@pytest.mark.parametrize("name", ["mae", "mae_cifar"])
def test_the_plain_way_of_mae_has_our_parameters(script, name):
    """Of the paper's sizes."""
    case = script(name)
    with torch.device("meta"):
        ours, theirs = case.built().model, case.plain_vae()
    expected = {key: one.shape for key, one in case.renamed(dict(ours.named_parameters())).items()}
    assert {key: weight.shape for key, weight in theirs.named_parameters()} == expected


def test_the_plain_way_of_cifar_has_our_loss_and_gradients(script, monkeypatch):
    """In evaluation mode, where no dropout is drawn."""
    case, plain = script("mae_cifar"), script("mae_cifar_plain")
    sizes = {"FEATURES": 6, "FLOW_CHANNELS": 8, "CHANNELS": 6, "GROWTH": (1, 1, 1), "MAPS": 4}
    for name, size in sizes.items():
        monkeypatch.setattr(plain, name, size)
    for name, size in {"MAPS": 4, "WIDTH": 1 / 16, "SEEN": 40}.items():
        monkeypatch.setattr(case, name, size)
    monkeypatch.setattr(case, "INFO", replace(case.INFO, shape=(3, 8, 8)))
    recipe, theirs = case.recipe(), plain.plain_vae()
    case.share_weights(case.renamed(dict(recipe.model.named_parameters())), theirs)
    for model in (recipe.model, theirs):
        model.eval()
    check_gradients(recipe, theirs, case.data().take(torch.arange(6)), case)
