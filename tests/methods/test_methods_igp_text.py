"""IGP's text models: their sizes, the target of their KL, and the posterior that is untied."""

import copy
from dataclasses import replace

import pytest
import torch
from fixtures import all_of, at, dataset, gradients, prepare, text_dataset, training
from torch.nn import functional as F

from vaebench import methods
from vaebench.data.dataset import DataInfo
from vaebench.data.tokenizers import PAD
from vaebench.errors import UserError

DBPEDIA = DataInfo(
    *("dbpedia", "original", (), 14, 140_000, 14_000, 14_000), vocabulary=12_003, longest=60
)
SNLI = DataInfo(*("snli", "original", (), 0, 100_000, 10_000, 10_000), vocabulary=7_003, longest=40)
LARGE = {"embedding": 200, "hidden": 512, "latent": 32}
SMALL = {"embedding": 50, "hidden": 128, "latent": 8}
TINY = {"embedding": 5, "hidden": 7, "latent": 3}
DATA = text_dataset()
TOLD = {"posterior": "diagonal", "prior": "gaussian", "target": 5.0, "ramp": 5000, "beta": 1.0}
PAPERS = [(DBPEDIA, LARGE), (SNLI, SMALL)]


def vae(info=DATA.info, network=TINY, **change):
    torch.manual_seed(0)
    return methods.build("igp_text.vae", info, {"network": network, **TOLD, **change})


def autoencoder(info=DATA.info, network=TINY):
    torch.manual_seed(0)
    return methods.build("igp_text.autoencoder", info, {"network": network})


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


# Section 3.1: one bias a gate; words are apart.
ENCODER = {512: 1_460_224, 128: 91_648}
DECODER = {512: 1_525_760, 128: 95_744}
MEAN = {512: 16_416, 128: 1_032}
SHARED = {512: 513, 128: 129}


@pytest.mark.parametrize(("info", "network"), PAPERS, ids=["large", "small"])
def test_the_models_have_the_papers_sizes(info, network):
    embedding, hidden, latent = network.values()
    with torch.device("meta"):
        models = {
            "autoencoder": autoencoder(info, network).model,
            "diagonal": vae(info, network).model,
            "isotropic": vae(info, network, posterior="isotropic").model,
            "mog": vae(info, network, prior="mog").model,
            "moig": vae(info, network, prior="moig").model,
        }
    networks = ENCODER[hidden] + DECODER[hidden] + MEAN[hidden]
    more = {
        "autoencoder": 0,
        "diagonal": MEAN[hidden],
        "isotropic": SHARED[hidden],
        "mog": MEAN[hidden] + 2 * 5 * latent,
        "moig": MEAN[hidden] + 5 * latent + 5,
    }
    words = info.vocabulary * embedding + info.vocabulary * (hidden + 1)
    assert {name: count(model) - words for name, model in models.items()} == {
        name: networks + extra for name, extra in more.items()
    }
    model = models["isotropic"]
    assert count(model.encoder.lstm) == ENCODER[hidden]
    assert count(model.decoder.lstm) == DECODER[hidden]
    assert count(model.head.mean) == MEAN[hidden]
    assert count(model.head.log_variance) == SHARED[hidden]
    assert model.encoder.embedding is model.decoder.embedding


@pytest.mark.parametrize("posterior", ["diagonal", "isotropic"])
def test_an_isotropic_posterior_has_one_variance(posterior):
    model = vae(posterior=posterior).model.eval()
    found = model.infer(all_of(DATA.test).x)
    differ = (found.variance != found.variance[:, :1]).any()
    assert found.variance.shape == (len(DATA.test), 3)
    assert bool(differ) == (posterior == "diagonal")
    assert len(found.variance[:, 0].unique()) > 1  # each sentence its own
    draws = (found.rsample(2_000) - found.mean) / found.variance.sqrt()
    correlation = torch.corrcoef(draws.flatten(0, 1).t()) - torch.eye(3)
    assert correlation.abs().max() < 0.03  # noise is independent all the same


def terms(recipe, clock, batch=None):
    torch.manual_seed(3)
    with torch.no_grad():
        return recipe.objective(recipe.model, batch or all_of(DATA.train), clock)


def by_hand(model, x):
    """Reconstruction and KL of each sentence, [B], by another way than the objective's."""
    torch.manual_seed(3)
    h = model.encoder(x)
    mean = F.linear(h, model.head.mean.weight, model.head.mean.bias)
    log_variance = F.linear(h, model.head.log_variance.weight, model.head.log_variance.bias)
    variance = log_variance.exp().expand_as(mean)
    z = mean + variance.sqrt() * torch.randn(1, *mean.shape)[0]
    words = model.decoder.embedding(x[:, :-1])
    inputs = torch.cat([words, z[:, None].expand(-1, words.shape[1], -1)], 2)
    outputs = model.decoder.lstm(inputs.transpose(0, 1)).transpose(0, 1)
    logits = outputs @ model.decoder.output.weight.t() + model.decoder.output.bias
    rec = F.cross_entropy(logits.flatten(0, 1), x[:, 1:].flatten(), reduction="none")
    rec = torch.where(x[:, 1:] == PAD, 0, rec.view(len(x), -1)).sum(1)
    kl = 0.5 * (mean.square() + variance - 1 - variance.log()).sum(1)
    return rec, kl


@pytest.mark.parametrize("step", [1, 2_500, 4_999, 5_000, 5_001, 31_280])
def test_the_target_is_reached_at_step_5000_and_held(step):
    recipe = vae(posterior="isotropic")
    with torch.no_grad():
        rec, kl = by_hand(recipe.model, all_of(DATA.train).x)
    wanted = 5.0 * min(step / 5_000, 1.0)
    found = terms(recipe, at(step))
    assert float(found["rec"]) == pytest.approx(float(rec.mean()), rel=1e-5)
    assert float(found["kl"]) == pytest.approx(float(kl.mean()), rel=1e-4)
    distance = float((kl - wanted).abs().mean())
    assert float(found["loss"] - found["rec"]) == pytest.approx(distance, rel=1e-4, abs=1e-5)
    assert float(recipe.objective.target_at(at(step))) == pytest.approx(wanted)


def test_without_a_ramp_the_target_is_there_from_the_first_step():
    recipe = vae(ramp=0)
    assert float(recipe.objective.target_at(at(1))) == 5.0


def test_without_a_target_it_is_a_beta_vae():
    recipe = vae(target=0.0, ramp=0, beta=0.4)
    found = terms(recipe, at(1))
    assert float(found["loss"]) == pytest.approx(
        float(found["rec"]) + 0.4 * float(found["kl"]), rel=1e-6
    )


def test_an_autoencoder_is_trained_on_its_reconstructions_alone():
    found = terms(autoencoder(), at(1))
    assert float(found["loss"]) == float(found["rec"]) and "kl" not in found


# Table 7.


def trained_base(posterior="isotropic"):
    """A model after some steps, as an input comes: frozen and in evaluation mode."""
    recipe = vae(posterior=posterior)
    prepare(recipe, DATA, training(lr=0.05))
    recipe.model.train()
    for step in range(5):
        recipe.procedure.step(recipe.objective, all_of(DATA.train), at(step + 1))
    recipe.model.zero_grad()
    return recipe.model.eval().requires_grad_(False)


def untied(base, **change):
    torch.manual_seed(7)
    told = {"target": 5.0, "beta": 1.0, "base": base, **change}
    return methods.build("igp_text.untied", DATA.info, told)


def as_double(recipe):
    return replace(recipe, model=recipe.model.double())


def test_an_untied_model_begins_where_its_base_ended():
    base = trained_base()
    one = as_double(vae(posterior="isotropic"))
    one.model.load_state_dict(base.state_dict())
    other = as_double(untied(base))
    first, second = terms(one, at(9_000)), terms(other, at(1))
    assert float(first["kl"]) > 0
    for name in ("rec", "kl", "loss"):
        assert float(first[name]) == pytest.approx(float(second[name]), rel=1e-13), name
    shapes = {name: tuple(value.shape) for name, value in other.model.head.named_parameters()}
    assert shapes["log_variance.weight"] == (3, 7) and shapes["log_variance.bias"] == (3,)
    assert count(other.model) == count(vae().model)  # that of a diagonal one


def test_all_parameters_of_an_untied_model_are_trained_and_none_of_its_base():
    base = trained_base()
    before = copy.deepcopy(base.state_dict())
    recipe = untied(base)
    started = {name: value.detach().clone() for name, value in recipe.model.named_parameters()}
    prepare(recipe, DATA, training(lr=0.01))
    recipe.model.train()
    recipe.procedure.step(recipe.objective, all_of(DATA.train), at(1))
    found = gradients(recipe.model)
    for name, value in recipe.model.named_parameters():
        assert value.requires_grad and found[name].isfinite().all(), name
        assert not torch.equal(value, started[name]), name
    rows = recipe.model.head.log_variance.weight
    assert not torch.equal(rows[0], rows[1])  # no longer one variance
    assert recipe.model.encoder.embedding is recipe.model.decoder.embedding
    assert not any(value.requires_grad for value in base.parameters())
    assert all(torch.equal(base.state_dict()[name], value) for name, value in before.items())
    # One bias a gate, as before.
    assert {n for n, _ in recipe.model.named_parameters()} == {
        n for n, _ in vae().model.named_parameters()
    }


def test_an_untied_model_has_its_target_from_the_first_step():
    assert float(untied(trained_base(), target=4.0).objective.target_at(at(1))) == 4.0


def test_what_it_starts_from_has_a_gaussian_posterior():
    with pytest.raises(UserError, match="base has no Gaussian posterior"):
        untied(autoencoder().model)


def test_images_have_no_sentences():
    with pytest.raises(UserError, match="synthetic is images, and this method is for text"):
        vae(dataset().info)
