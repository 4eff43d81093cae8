"""The second-stage VAE, against its definition and on codes whose distribution is known."""

import copy
from dataclasses import replace

import pytest
import torch
from fixtures import at, dataset, split, tiny_model
from torch.distributions import Independent, Normal, kl_divergence

from vaebench import methods
from vaebench.data.dataset import Batch
from vaebench.models.two_stage import SecondStage, TwoStageModel
from vaebench.registry.runs import Adam, Training
from vaebench.training.codes import Codes
from vaebench.training.loop import train

SHAPE = (1, 2, 2)
DATA = dataset(shape=SHAPE)
CPU = torch.device("cpu")


def recipe_on(first, hidden=16):
    torch.manual_seed(0)
    return methods.build("ar_elbo.second_stage", DATA.info, {"hidden": hidden}, {"first": first})


@pytest.fixture
def first():
    return tiny_model("diagonal", latent=3, shape=SHAPE).eval().requires_grad_(False)


def test_it_is_the_network_of_dai_and_wipf():
    """Three hidden layers of 1024 each way, the input beside the last one, one gamma."""
    latent, hidden = 16, 1024
    way = (latent + 1) * hidden + 2 * (hidden + 1) * hidden
    encoder, decoder = (
        way + 2 * (latent + hidden + 1) * latent,
        way + (latent + hidden + 1) * latent,
    )
    stage = SecondStage(latent, hidden)
    assert sum(p.numel() for p in stage.parameters()) == encoder + decoder + 1


def test_its_loss_is_that_of_the_authors_code(first):
    """sum_j [(z - z_hat)^2 / (2 gamma^2) + ln gamma] + KL, and the constant that they leave out."""
    recipe = recipe_on(first)
    vae = recipe.model.prior.vae
    with torch.no_grad():
        vae.decoder.log_gamma.fill_(-0.7)
    z = torch.randn(5, 3)
    torch.manual_seed(1)
    terms = recipe.objective(recipe.model, Batch(z, torch.zeros(5)), at(1))
    torch.manual_seed(1)
    noise = torch.randn(1, 5, 3)[0]
    h = vae.encoder.layers(z)
    mean = vae.head.mean(torch.cat([z, h], 1))
    std = vae.head.log_std(torch.cat([z, h], 1)).exp()
    u = mean + std * noise
    z_hat = vae.decoder.output(torch.cat([u, vae.decoder.features.layers(u)], 1))
    gamma = torch.tensor(-0.7).exp()
    rec = -Independent(Normal(z_hat, gamma), 1).log_prob(z).mean()
    posterior, prior = Normal(mean, std), Normal(torch.zeros(3), torch.ones(3))
    kl = kl_divergence(Independent(posterior, 1), Independent(prior.expand([5, 3]), 1)).mean()
    torch.testing.assert_close(terms["loss"], rec + kl, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(terms["kl"], kl, rtol=1e-5, atol=1e-5)


def test_codes_are_drawn_anew_from_the_posteriors(first):
    recipe, part = recipe_on(first), split(4, SHAPE)
    examples = recipe.examples(part)
    posterior = first.infer(part.take(torch.arange(4)).x)
    torch.manual_seed(0)
    draws = torch.stack([examples.take(torch.tensor([2, 0])).x for _ in range(4000)])
    wanted, std = posterior.mean[[2, 0]], posterior.variance[[2, 0]].sqrt()
    assert ((draws.mean(0) - wanted).abs() < 5 * std / 4000**0.5).all()
    torch.testing.assert_close(draws.std(0), std, rtol=0.06, atol=0.0)


def test_codes_of_a_deterministic_encoder_are_its_means():
    first = tiny_model("deterministic", latent=3, shape=SHAPE).eval()
    part = split(4, SHAPE)
    taken = recipe_on(first).examples(part).take(torch.tensor([3, 1])).x
    torch.testing.assert_close(taken, first.infer(part.take(torch.tensor([3, 1])).x).mean)


def test_the_first_stage_is_looked_through_and_left_alone(first):
    model = TwoStageModel(first, hidden=8)
    assert all(name.startswith("prior.vae.") for name in model.state_dict())
    assert all(name.startswith("prior.vae.") for name, _ in model.named_parameters())
    x, z = DATA.test.take(torch.arange(3)).x, torch.randn(3, 3)
    assert torch.equal(model.infer(x).mean, first.infer(x).mean)
    assert torch.equal(model.decoder.mean(z), first.decoder.mean(z))
    model.train()
    assert not first.training


def test_the_first_stage_moves_with_it(first):
    model = TwoStageModel(copy.deepcopy(first), hidden=8).double()
    x = DATA.test.take(torch.arange(3)).x.double()
    assert model.decoder.mean(model.infer(x).mean).dtype == torch.float64


def test_it_has_no_density(first):
    with pytest.raises(TypeError, match="no density"):
        TwoStageModel(first, hidden=8).prior.log_prob(torch.zeros(1, 3))


def test_it_learns_a_known_mixture(tmp_path, first):
    """Codes far from N(0, I): two clusters at (4, -4, 0) and (-4, 4, 0) with a deviation of 0.5."""
    generator = torch.Generator().manual_seed(0)
    side = 2.0 * torch.randint(0, 2, (4000, 1), generator=generator) - 1
    codes = 0.5 * torch.randn(4000, 3, generator=generator)
    codes = codes + side * torch.tensor([4.0, -4.0, 0.0])
    recipe = replace(
        recipe_on(first, hidden=64), examples=lambda data: Codes(codes, None, side[:, 0])
    )
    settings = Training(batch_size=100, epochs=20, optimizer=Adam(name="adam", lr=0.002))
    train(recipe, DATA, settings, seed=0, device=CPU, checkpoint=tmp_path / "c.pt")
    with torch.no_grad():
        drawn = recipe.model.prior.sample(20_000, CPU)
    between = (drawn[:, 0] > 0) != (drawn[:, 1] < 0)
    assert between.float().mean() < 0.03
    assert 0.3 < (drawn[:, 0] > 0).float().mean() < 0.7
    torch.testing.assert_close(drawn.abs().mean(0)[:2], codes.abs().mean(0)[:2], rtol=0.1, atol=0.0)
    torch.testing.assert_close(drawn.std(0)[:2], codes.std(0)[:2], rtol=0.15, atol=0.0)
    assert 0.25 < drawn.std(0)[2] < 0.75  # 0.5 in the codes
