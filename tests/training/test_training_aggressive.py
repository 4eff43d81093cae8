"""Agg-VAE's inner loop against the algorithm written out, and its end by mutual information."""

import copy
import math
from dataclasses import replace

import pytest
import torch
from fixtures import all_of, at, dataset, split, tiny_model, training

from vaebench.objectives.elbo import negative_elbo
from vaebench.training import aggressive
from vaebench.training.aggressive import Aggressive, InnerLoop
from vaebench.training.loop import train
from vaebench.training.procedures import Setting
from vaebench.training.recipe import Recipe

SHAPE = (1, 2, 2)
DATA = replace(dataset(shape=SHAPE), validation=split(30, SHAPE, 2))
SETTINGS = training(epochs=3, batch_size=8, lr=0.05)


def prepared(model, inner=None, settings=SETTINGS):
    procedure = Aggressive(inner or InnerLoop(6, 2, 1))
    procedure.prepare(Setting(model, settings, DATA.train, DATA.validation))
    return procedure


def by_hand(model, batch, inner, settings):
    """He et al., Algorithm 1, with optimisers of torch: how many inner steps there were."""
    encoder, decoder = (
        torch.optim.Adam(parameters, lr=0.05, eps=1e-7, foreach=False)
        for parameters in (model.inference_parameters(), model.generative_parameters())
    )
    batches, losses, before = [batch], [], math.inf
    steps = 0
    while steps < inner.steps:
        if steps:
            drawn = torch.randperm(len(DATA.train))[: settings.batch_size]
            batches.append(DATA.train.take(drawn))
        model.zero_grad()
        loss = negative_elbo(model, batches[-1], at(1))["loss"]
        loss.backward()
        if settings.clip:
            torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
        encoder.step()
        steps += 1
        losses += len(batches[-1].y) * [float(loss.detach())]
        if steps % inner.window == 0:
            now = sum(losses) / len(losses)
            if now > before:
                break
            before, losses = now, []
    model.zero_grad()
    negative_elbo(model, batch, at(1))["loss"].backward()
    if settings.clip:
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.clip)
    decoder.step()
    return steps


@pytest.mark.parametrize("clip", [None, 0.3])
@pytest.mark.parametrize("size", [8, 5])
def test_a_step_is_the_papers_algorithm(clip, size):
    """The encoder until its loss rises, on random batches; then one step of the decoder alone."""
    settings, inner = SETTINGS.model_copy(update={"clip": clip}), InnerLoop(30, 2, 1)
    model = tiny_model()
    other = copy.deepcopy(model)
    batch = DATA.train.take(torch.arange(size))
    procedure = prepared(model, inner, settings)
    torch.manual_seed(3)
    terms = procedure.step(negative_elbo, batch, at(1))
    torch.manual_seed(3)
    steps = by_hand(other, batch, inner, settings)
    assert terms["inner_steps"] == steps and 2 < steps < 30
    for one, two in zip(model.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5)


def test_it_ends_after_epochs_below_the_best_information(monkeypatch):
    """So many in total, not in a row; then both are trained together."""
    told = iter([1.0, 2.0, 1.5, 2.5, 2.4, 2.6, 0.1])
    monkeypatch.setattr(
        aggressive.mutual_information, "minibatch_latent_form", lambda *arguments: next(told)
    )
    model = tiny_model().eval()
    procedure = prepared(model, InnerLoop(4, 2, patience=2))
    states = [procedure.epoch_done()["aggressive"] for _ in range(7)]
    assert states == [1, 1, 1, 1, 1, 0, 0]
    before = {name: value.clone() for name, value in model.named_parameters()}
    terms = procedure.step(negative_elbo, all_of(DATA.train), at(9))
    assert terms["inner_steps"] == 0
    assert all(not torch.equal(value, before[name]) for name, value in model.named_parameters())


def test_while_it_is_aggressive_the_decoder_takes_one_step_and_the_encoder_many():
    model = tiny_model()
    procedure = prepared(model, InnerLoop(6, 6, 1))
    terms = procedure.step(negative_elbo, all_of(DATA.train), at(1))
    assert terms["inner_steps"] == 6
    encoder, decoder = procedure.state_dict()["encoder"], procedure.state_dict()["decoder"]
    assert {float(state["step"]) for state in encoder["state"].values()} == {6}
    assert {float(state["step"]) for state in decoder["state"].values()} == {1}


def test_the_information_is_that_of_the_validation_split_in_batches():
    model = tiny_model(scale=3.0).eval()
    procedure = prepared(model)
    torch.manual_seed(2)
    found = procedure.epoch_done()["mutual_information"]
    torch.manual_seed(2)
    posterior = model.infer(all_of(DATA.validation).x)
    z = posterior.rsample(1)[0]
    total = 0.0
    for part in torch.split(torch.arange(30), 8):
        means, stds = posterior.mean[part], posterior.variance[part].sqrt()
        pairs = torch.distributions.Normal(means, stds).log_prob(z[part].unsqueeze(1)).sum(-1)
        mine = pairs.diagonal()
        entropy = torch.distributions.Normal(means, stds).entropy().sum(-1)
        assert mine.isfinite().all()
        mixture = pairs.logsumexp(1) - math.log(len(part))
        total += float((-entropy - mixture).detach().sum())
    assert found == pytest.approx(total / 30, rel=1e-5)


@pytest.mark.parametrize("done", [1, 2])
def test_it_goes_on_where_it_stopped(done, tmp_path):
    def fit(name, epochs):
        torch.manual_seed(0)
        recipe = Recipe(tiny_model(), negative_elbo, Aggressive(InnerLoop(4, 2, 1)))
        settings = SETTINGS.model_copy(update={"epochs": epochs})
        trained = train(
            recipe, DATA, settings, seed=1, device=torch.device("cpu"), checkpoint=tmp_path / name
        )
        return trained.history, recipe.model.state_dict()

    history, weights = fit("straight.pt", 3)
    fit("parts.pt", done)
    resumed, again = fit("parts.pt", 3)
    assert resumed == history and all(torch.equal(weights[k], again[k]) for k in weights)
    assert {"mutual_information", "aggressive", "inner_steps"} <= set(history[0])


def test_it_needs_a_validation_split():
    with pytest.raises(ValueError, match="held_out"):
        Aggressive(InnerLoop(4, 2, 1)).prepare(Setting(tiny_model(), SETTINGS, DATA.train))
    with pytest.raises(ValueError, match="window"):
        InnerLoop(4, 0, 1)
