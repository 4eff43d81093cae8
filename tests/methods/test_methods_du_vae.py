"""The methods of DU-VAE at the paper's sizes, and the laws that each row promises."""

import math

import pytest
import torch
from fixtures import all_of, at, dataset, prepare, training
from torch import nn

from vaebench import methods
from vaebench.data.dataset import DataInfo
from vaebench.models.divergence import kl_by_dimension
from vaebench.models.heads import ZERO_ENTROPY_VARIANCE
from vaebench.models.refined import RefinedModel
from vaebench.registry.expansion import expand
from vaebench.registry.loading import load_figure, load_table
from vaebench.registry.names import SCALES
from vaebench.registry.selection import Selection
from vaebench.registry.sweeps import sweep_table
from vaebench.training.aggressive import Aggressive
from vaebench.training.semi_amortised import SemiAmortised

OMNIGLOT = DataInfo("omniglot", "original", (1, 28, 28), 1_623, 22_345, 8_070, 2_000)
PAPER = {"kind": "resnet-pixelcnn", "width": 1, "latent": 32}
SMALL = {"kind": "resnet-pixelcnn", "width": 0.05, "latent": 4}
DATA = dataset(shape=(1, 8, 8))


def build(name, data=OMNIGLOT, network=PAPER, annealing=(0.0, 1.0), **rest):
    torch.manual_seed(0)
    told = {"network": network, **rest}
    if name != "beta_vae":
        told["annealing"] = dict(zip(("start", "epochs"), annealing, strict=True))
    return methods.build(f"du_vae.{name}", data, told)


def count(parameters):
    return sum(parameter.numel() for parameter in parameters)


# Sizes.


@pytest.mark.parametrize(
    ("name", "rest", "encoder"),
    [
        ("vae", {}, 752_448),
        ("delta_vae", {"delta": 0.1}, 752_448),
        ("bn_vae", {"gamma": 0.5}, 752_448 + 32),  # the shift; the scales are fixed
        ("du_vae", {"gamma": 0.5, "keep": 0.9}, 752_448 + 64),
        ("iaf_free_bits", {"bits": 0.15}, None),
    ],
)
def test_the_networks_have_the_papers_size(name, rest, encoder):
    """894,400 parameters of the decoder are those of whole kernels: the rows that are cropped here
    are masked throughout."""
    with torch.device("meta"):
        model = build(name, **rest).model
    if encoder is None:
        # 128 outputs, and two blocks with the biases of their gates.
        encoder = 752_448 + 64 * (512 + 1) + 2 * 3_997_536
    assert count(model.inference_parameters()) == encoder
    kernels = [(7, 4), (5, 4), (3, 3)]  # of the masked blocks; then the skips around them
    cropped = sum(
        32 * 32 * size * (size // 2)
        for (size, number), skips in zip(kernels, (4, 4, 3), strict=True)
        for _ in range((number if size != 3 else 4) + skips)
    )
    assert count(model.generative_parameters()) + cropped == 894_400


def test_a_heads_linear_map_begins_xavier_uniform_without_bias():
    head = build("vae").model.head
    bound = math.sqrt(6 / (512 + 64))
    assert 0.95 * bound < float(head.linear.weight.detach().abs().max()) <= bound
    assert not head.linear.bias.any()


# What the rows promise.


def step(recipe, clock, batch=None):
    recipe.model.train()
    return recipe.objective(recipe.model, batch or all_of(DATA.train), clock)


def test_du_vae_has_its_floor_from_the_step_where_the_weight_is_one():
    recipe = build("du_vae", DATA.info, SMALL, (0.0, 3.0), gamma=0.5, keep=0.8)
    x = all_of(DATA.test).x
    for time in (1, 2):
        step(recipe, at(time))
        assert not recipe.model.head.variance.active
    before = recipe.model.eval().infer(x).variance
    step(recipe, at(3))
    assert recipe.model.head.variance.active
    recipe.model.eval().head.variance.activate(torch.tensor(False))
    without = recipe.model.infer(x).variance
    recipe.model.head.variance.activate(torch.tensor(True))
    found = recipe.model.infer(x).variance
    torch.testing.assert_close(found, without + ZERO_ENTROPY_VARIANCE, rtol=1e-5, atol=1e-6)
    assert before.shape == found.shape and float(found.detach().min()) > ZERO_ENTROPY_VARIANCE


@pytest.mark.parametrize(
    ("name", "rest"), [("bn_vae", {}), ("du_vae", {"keep": 1.0}), ("du_vae", {"keep": 0.7})]
)
def test_normalised_means_keep_the_kl_up(name, rest):
    """At least half the sum of squares of batch means and deviations: K gamma^2 / 2 at first."""
    gamma = 0.6
    recipe = build(name, DATA.info, SMALL, gamma=gamma, **rest)
    terms = step(recipe, at(1))
    assert float(terms["kl"].detach()) >= 0.99 * SMALL["latent"] * gamma**2 / 2


def test_delta_vae_has_its_floor_in_every_dimension():
    model = build("delta_vae", DATA.info, SMALL, delta=0.15).model
    posterior = model.infer(all_of(DATA.train).x)
    kl = kl_by_dimension(posterior, model.prior, posterior.draw(1))
    assert float(kl.detach().min()) >= 0.15 - 1e-6


@pytest.mark.parametrize("name", ["free_bits", "iaf_free_bits"])
def test_free_bits_charge_at_least_their_bits(name):
    recipe = build(name, DATA.info, SMALL, bits=5.0)
    terms = step(recipe, at(1))
    charged = float((terms["loss"] - terms["rec"]).detach())
    assert charged == pytest.approx(SMALL["latent"] * 5.0, rel=1e-5)
    assert charged > float(terms["kl"].detach())


def test_an_ae_is_charged_no_kl_and_draws_its_codes():
    recipe = build("beta_vae", DATA.info, SMALL, beta=0.0)
    batch = all_of(DATA.train)
    terms = step(recipe, at(1), batch)
    assert terms["loss"] == terms["rec"] and terms["kl"] > 0
    assert step(recipe, at(1), batch)["rec"] != terms["rec"]


def test_procedures_are_those_of_their_papers():
    inner = {"steps": 3, "window": 2, "patience": 1}
    agg = build("aggressive", DATA.info, SMALL, inner=inner)
    semi = build("semi_amortised", DATA.info, SMALL, refinements=2)
    assert isinstance(agg.procedure, Aggressive)
    assert isinstance(semi.procedure, SemiAmortised) and isinstance(semi.model, RefinedModel)
    prepare(agg, DATA, training(batch_size=20))
    before = [value.detach().clone() for value in agg.model.generative_parameters()]
    terms = agg.procedure.step(agg.objective, all_of(DATA.train), at(1))
    assert terms["inner_steps"] >= 2
    after = list(agg.model.generative_parameters())
    # Adam's first step moves nothing further than its rate: the decoder took one.
    moved = [float((a.detach() - b).abs().max()) for a, b in zip(after, before, strict=True)]
    assert 0 < max(moved) <= 1.001e-3


def test_du_iaf_has_flows_from_normalised_means():
    model = build("du_iaf", DATA.info, SMALL, gamma=0.5, keep=0.9).model
    posterior = model.infer(all_of(DATA.train).x)
    means = posterior.base.mean.detach()
    torch.testing.assert_close(
        means.var(0, correction=0), torch.full((4,), 0.25), rtol=1e-3, atol=0
    )
    assert posterior.features.shape == (len(DATA.train), 8)
    plain = build("iaf_free_bits", DATA.info, SMALL, bits=0.1).model
    assert isinstance(plain.head.mean, nn.Identity)


# One training a model, whatever shows it.


def runs_of(table, scale, *groups):
    found = expand(load_table(f"du-vae-{table}", scale), Selection(only=groups))
    return found.runs.keys()


def swept(scale, *groups):
    figure = load_figure("du-vae-figure2")
    return expand(sweep_table(figure, figure.sweep, scale), Selection(only=groups)).runs.keys()


@pytest.mark.parametrize("scale", SCALES)
def test_tables_and_figure_share_their_trainings_on_images(scale):
    one, three = runs_of("table1", scale, "OMNIGLOT"), runs_of("table3", scale)
    sweep = swept(scale, "OMNIGLOT")
    assert (len(one), len(three), len(sweep)) == (14, 11, 20)
    assert len(one & three) == 10  # all but AE
    assert len(one & sweep) == 3


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("group", ["Yahoo", "Yelp"])
def test_table_and_figure_share_their_trainings_on_text(group, scale):
    one, sweep = runs_of("table1", scale, group), swept(scale, group)
    assert (len(one), len(sweep), len(one & sweep)) == (14, 20, 3)


@pytest.mark.parametrize("scale", SCALES)
def test_short_text_has_its_own_trainings(scale):
    two, fixed = runs_of("table2", scale), runs_of("tableS2", scale)
    assert (len(two), len(fixed), len(two & fixed)) == (11, 5, 0)
    assert len(runs_of("tableS1", scale)) == 5


@pytest.mark.parametrize("scale", SCALES)
def test_sentences_are_shown_of_a_model_of_table_2(scale):
    two = {m.key.row: m.runs for m in expand(load_table("du-vae-table2", scale)).measurements}
    for name in ("S3", "S4"):
        shown = expand(load_table(f"du-vae-table{name}", scale)).runs
        assert list(shown) == [run.id for run in two["DU-VAE (0.5, 0.8)"]]
