"""MAE's objective: its regularisers in three forms, and free bits of the batch."""

import math

import pytest
import torch
from fixtures import at, gradients, random_batch, tiny_model
from torch import nn
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F

from vaebench.errors import UserError
from vaebench.estimators import pairwise
from vaebench.models.posteriors import GaussianPosterior
from vaebench.objectives.annealed import Constant, WeightedElbo
from vaebench.objectives.elbo import negative_elbo
from vaebench.objectives.mutual import FORMS, MutualElbo, MutualPosteriorDivergence

BATCH = random_batch(7)
NO_PAIRS = MutualPosteriorDivergence(0.0, 0.0)

forms = pytest.mark.parametrize("form", FORMS)


def terms_of(objective, model, seed=3):
    torch.manual_seed(seed)
    return objective(model, BATCH, at(1))


def gaussians(size, latent, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    mean, log_variance = torch.randn(2, size, latent, dtype=dtype, generator=generator)
    return GaussianPosterior(mean.requires_grad_(), log_variance.requires_grad_())


def pairs_of(posterior):
    """KL of every ordered pair of two and of every dimension, [N (N - 1), K]."""
    scale = posterior.variance.sqrt()
    one, other = (Normal(posterior.mean.unsqueeze(d), scale.unsqueeze(d)) for d in (1, 0))
    return kl_divergence(one, other)[~torch.eye(len(scale), dtype=torch.bool)]


def diversity(posterior, form, weight=1.0):
    return MutualPosteriorDivergence(weight, 0.0, form)(posterior)["diversity"]


def test_maes_regularisers_are_those_of_all_ordered_pairs():
    """Softplus of the mean over pairs, summed over dimensions; deviation of the whole KLs."""
    model = tiny_model().double()
    posterior = model.infer(BATCH.x)
    pairs = []
    for i in range(7):
        for j in range(7):
            if i != j:
                v, w = posterior.variance[i], posterior.variance[j]
                square = (posterior.mean[i] - posterior.mean[j]).square()
                pairs.append(0.5 * (v / w + square / w - 1 + w.log() - v.log()))
    pairs = torch.stack(pairs)
    regulariser = MutualPosteriorDivergence(0.5, 0.2)
    terms = terms_of(WeightedElbo(Constant(1.0), regulariser=regulariser), model)
    diversity = 0.5 * F.softplus(-pairs.mean(0)).sum()
    smoothness = 0.2 * pairs.sum(1).std()
    torch.testing.assert_close(terms["diversity"], diversity, rtol=1e-10, atol=0.0)
    torch.testing.assert_close(terms["smoothness"], smoothness, rtol=1e-10, atol=0.0)
    wanted = terms["rec"] + terms["kl"] + diversity + smoothness
    torch.testing.assert_close(terms["loss"], wanted, rtol=1e-12, atol=0.0)


@pytest.mark.parametrize("weight", [0.5, 2.0])
@forms
def test_diversity_is_as_it_is_written(form, weight):
    posterior = gaussians(9, 4)
    pairs = pairs_of(posterior)
    wanted = {
        "code": F.softplus(-pairs.mean(0)).sum(),
        "paper": F.softplus(-pairs).sum(1).mean(),
        "code_2018_09": F.softplus(-pairs.mean(0) / weight).sum(),
    }
    found = diversity(posterior, form, weight)
    torch.testing.assert_close(found, weight * wanted[form], rtol=1e-10, atol=0.0)
    leaves = posterior.mean, posterior.log_variance
    ours, theirs = (torch.autograd.grad(v, leaves) for v in (found, weight * wanted[form]))
    torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("seed", range(20))
def test_the_mean_within_the_softplus_is_no_larger(seed):
    """Jensen: softplus is convex."""
    posterior = gaussians(6, 3, seed)
    assert 0 <= diversity(posterior, "code") < diversity(posterior, "paper")


def test_where_pairs_are_alike_it_does_not_matter_where_the_mean_is():
    mean = torch.tensor([[0.3, -1.0, 2.0], [1.0, 0.5, 2.1]], dtype=torch.float64)
    log_variance = torch.tensor([[0.1, -0.7, 0.4]], dtype=torch.float64).expand(2, 3)
    posterior = GaussianPosterior(mean, log_variance)
    torch.testing.assert_close(
        diversity(posterior, "code"), diversity(posterior, "paper"), rtol=1e-12, atol=0.0
    )


@forms
def test_posteriors_that_are_the_same_are_ln_2_a_dimension(form):
    mean = torch.full((5, 3), 0.7, dtype=torch.float64, requires_grad=True)
    log_variance = torch.full((5, 3), -0.4, dtype=torch.float64, requires_grad=True)
    terms = MutualPosteriorDivergence(2.0, 1.0, form)(GaussianPosterior(mean, log_variance))
    assert float(terms["diversity"].detach()) == pytest.approx(2 * 3 * math.log(2), rel=1e-12)
    assert float(terms["smoothness"].detach()) == pytest.approx(0, abs=1e-12)
    for gradient in torch.autograd.grad(sum(terms.values()), (mean, log_variance)):
        assert gradient.isfinite().all()


@forms
def test_one_outlier_leaves_numbers_in_single_precision(form):
    """A variance of exp(-20) makes KLs of about 1e9."""
    posterior = gaussians(20, 32)
    with torch.no_grad():
        posterior.log_variance[3] = -20.0
    single = GaussianPosterior(
        *(v.detach().float().requires_grad_() for v in (posterior.mean, posterior.log_variance))
    )
    regulariser = MutualPosteriorDivergence(0.5, 0.2, form)
    found, wanted = regulariser(single), regulariser(posterior)
    assert wanted["smoothness"] > 1e9
    for name, value in found.items():
        torch.testing.assert_close(value.double(), wanted[name], rtol=1e-4, atol=1e-9)
    for gradient in torch.autograd.grad(sum(found.values()), (single.mean, single.log_variance)):
        assert gradient.isfinite().all()


def test_a_weight_of_zero_leaves_a_term_out(monkeypatch):
    posterior = gaussians(5, 2)
    monkeypatch.setattr(pairwise, "off_diagonal_std", None)  # so that calling it would fail
    assert set(MutualPosteriorDivergence(0.5, 0.0)(posterior)) == {"diversity"}
    monkeypatch.undo()
    monkeypatch.setattr(pairwise, "mean_kl_by_dimension", None)
    assert set(MutualPosteriorDivergence(0.0, 0.5)(posterior)) == {"smoothness"}
    monkeypatch.setattr(pairwise, "off_diagonal_std", None)
    assert NO_PAIRS(posterior) == {}


@forms
def test_autocast_does_not_round_them(form):
    posterior = gaussians(8, 5, dtype=torch.float32)
    regulariser = MutualPosteriorDivergence(0.5, 0.2, form)
    wanted = regulariser(posterior)
    with torch.autocast("cpu", torch.bfloat16):
        found = regulariser(posterior)
    torch.testing.assert_close(found, wanted, rtol=0.0, atol=0.0)
    rounded = GaussianPosterior(posterior.mean.bfloat16(), posterior.log_variance.bfloat16())
    as_single = GaussianPosterior(rounded.mean.float(), rounded.log_variance.float())
    torch.testing.assert_close(regulariser(rounded), regulariser(as_single), rtol=0.0, atol=0.0)


def test_pairs_need_densities():
    model = tiny_model("deterministic").double()
    with pytest.raises(TypeError, match="Gaussian"):
        MutualPosteriorDivergence(1.0, 1.0)(model.infer(BATCH.x))


def test_pairs_need_two():
    with pytest.raises(UserError, match="drop_last"):
        MutualPosteriorDivergence(1.0, 1.0)(gaussians(1, 3))


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ((-0.1, 0.0), "diversity"),
        ((0.0, math.nan), "smoothness"),
        ((1.0, 1.0, "papers"), "expected one of code, paper, code_2018_09"),
    ],
)
def test_what_cannot_be_is_told(settings, told):
    with pytest.raises(ValueError, match=told):
        MutualPosteriorDivergence(*settings)


@pytest.mark.parametrize("bits", [-1.0, math.nan])
def test_bits_are_from_zero(bits):
    with pytest.raises(ValueError, match="free_bits"):
        MutualElbo(bits, NO_PAIRS)


class TestMutualElbo:
    def test_without_bits_and_pairs_it_is_the_elbo(self):
        models = [tiny_model().double() for _ in range(2)]
        ours = terms_of(MutualElbo(0.0, NO_PAIRS), models[0])
        theirs = terms_of(negative_elbo, models[1])
        assert list(ours) == list(theirs) == ["loss", "rec", "kl"]
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)
        for terms in (ours, theirs):
            terms["loss"].backward()
        torch.testing.assert_close(*map(gradients, models), rtol=0.0, atol=0.0)

    def test_it_is_the_elbo_and_what_pairs_add(self):
        model = tiny_model().double()
        pairs = MutualPosteriorDivergence(0.5, 0.2, "paper")
        terms = terms_of(MutualElbo(0.0, pairs), model)
        assert list(terms) == ["loss", "rec", "kl", "diversity", "smoothness"]
        wanted = terms_of(negative_elbo, model)["loss"] + sum(pairs(model.infer(BATCH.x)).values())
        torch.testing.assert_close(terms["loss"], wanted, rtol=1e-12, atol=0.0)

    @pytest.mark.parametrize("share", [0.5, 1.5])
    def test_bits_are_those_of_the_mean_kl_whole(self, share):
        """Below them the gradient of the KL is exactly 0, above them exactly 1."""
        model = tiny_model(scale=2.0).double()
        plain = terms_of(negative_elbo, model)
        kl = float(plain["kl"].detach())
        terms = terms_of(MutualElbo(share * kl, NO_PAIRS), model)
        charged = max(kl, share * kl)
        assert float(terms["loss"].detach()) == pytest.approx(
            float(terms["rec"].detach()) + charged
        )
        assert torch.equal(terms["kl"], plain["kl"]) and torch.equal(terms["rec"], plain["rec"])
        leaves = list(model.parameters())
        wanted = plain["loss"] if share < 1 else plain["rec"]
        ours, theirs = (
            torch.autograd.grad(value, leaves, allow_unused=True)
            for value in (terms["loss"], wanted)
        )
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-15)

    def test_a_kl_without_closed_form_is_that_of_the_draw_that_is_decoded(self):
        model = tiny_model().double()
        prior = model.prior = Laplace()
        decoded = []
        score = model.decoder.log_prob
        model.decoder.log_prob = lambda x, z: decoded.append(z) or score(x, z)
        posterior = model.infer(BATCH.x)
        model.infer = lambda x: posterior
        terms = terms_of(MutualElbo(0.0, NO_PAIRS), model)
        (z,), (seen,) = decoded, prior.seen
        assert z is seen and z.shape == (1, 7, 2)
        log_q = Normal(posterior.mean, posterior.variance.sqrt()).log_prob(z).sum(-1)
        log_p = torch.distributions.Laplace(0.0, 1.0).log_prob(z).sum(-1)
        torch.testing.assert_close(terms["kl"], (log_q - log_p).mean())


class Laplace(nn.Module):
    """A prior that has no closed form and remembers what it was asked for."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def log_prob(self, z):
        self.seen.append(z)
        return (-z.abs() - math.log(2)).sum(-1)
