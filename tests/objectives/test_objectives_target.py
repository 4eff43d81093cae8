"""The target of the KL: its ramp, its distance a datum, and what it is without one."""

import pytest
import torch
from fixtures import at, gradients, random_batch, tiny_model

from vaebench.models.divergence import kl_divergence
from vaebench.models.priors import MixturePrior
from vaebench.objectives.annealed import Constant, WeightedElbo
from vaebench.objectives.elbo import negative_elbo
from vaebench.objectives.target import TargetKl

BATCH = random_batch(7)


def terms_of(objective, model, step=1):
    torch.manual_seed(3)
    return objective(model, BATCH, at(step))


def kls_of(model):
    torch.manual_seed(3)
    posterior = model.infer(BATCH.x)
    return kl_divergence(posterior, model.prior, posterior.draw(1))


def test_the_target_rises_by_steps_and_stays():
    ramped, at_once = TargetKl(5.0, 1.0, 5000), TargetKl(5.0, 1.0, None)
    for step, share in ((1, 1 / 5000), (1250, 0.25), (5000, 1.0), (5001, 1.0), (7000, 1.0)):
        assert float(ramped.target_at(at(step))) == pytest.approx(5.0 * share, rel=1e-6)
        assert at_once.target_at(at(step)) == 5.0
    assert ramped.target_at(at(4999)) < 5.0 == ramped.target_at(at(5000))


@pytest.mark.parametrize("head", ["diagonal", "isotropic"])
def test_every_datum_has_its_own_distance(head):
    model = tiny_model(head, scale=3.0).double()
    kls = kls_of(model).detach()
    low, high = kls.min(), kls.max()
    assert high - low > 0.1
    target = float(low + high) / 2
    terms = terms_of(TargetKl(target, 0.7, 10), model, step=8)
    reached = 0.8 * target
    wanted = terms["rec"] + 0.7 * (kls - reached).abs().mean()
    torch.testing.assert_close(terms["loss"], wanted, rtol=1e-7, atol=0.0)
    assert float((kls - reached).abs().mean()) > abs(float(kls.mean()) - reached) + 1e-3
    torch.testing.assert_close(terms["kl"], kls.mean(), rtol=1e-12, atol=0.0)


def test_kls_on_both_sides_of_the_target_do_not_make_up_for_one_another(monkeypatch):
    kls = torch.tensor([0.0, 10.0], dtype=torch.float64)
    monkeypatch.setattr("vaebench.objectives.target.kl_divergence", lambda *_: kls)
    terms = terms_of(TargetKl(5.0, 1.0, None), tiny_model().double())
    torch.testing.assert_close(terms["loss"] - terms["rec"], kls.new_tensor(5.0))


@pytest.mark.parametrize("head", ["diagonal", "isotropic"])
@pytest.mark.parametrize("beta", [1.0, 0.4])
def test_without_a_target_it_is_the_weighted_elbo(head, beta):
    models = [tiny_model(head).double() for _ in range(2)]
    ours = terms_of(TargetKl(0.0, beta, 5000), models[0], step=99)
    theirs = terms_of(WeightedElbo(Constant(beta)), models[1])
    for name in ("loss", "rec", "kl"):
        torch.testing.assert_close(ours[name], theirs[name], rtol=1e-7, atol=0.0)
    if beta == 1.0:
        torch.testing.assert_close(ours, terms_of(negative_elbo, models[1]))
    for terms in (ours, theirs):
        terms["loss"].backward()
    torch.testing.assert_close(*map(gradients, models), rtol=1e-6, atol=1e-12)


def test_above_the_target_the_kl_falls_and_below_it_rises():
    model = tiny_model(scale=3.0).double()
    slopes = {}
    for name, target in (("above", 0.0), ("below", 1000.0)):
        model.zero_grad()
        terms = terms_of(TargetKl(target, 1.0, None), model)
        (terms["loss"] - terms["rec"]).backward()
        slopes[name] = model.head.mean.weight.grad.clone()
    torch.testing.assert_close(slopes["below"], -slopes["above"], rtol=1e-6, atol=1e-12)


def test_an_estimated_kl_has_the_distance_of_its_estimate():
    model = tiny_model().double()
    model.prior = MixturePrior(2, 3, isotropic=False).double()
    kls = kls_of(model).detach()
    terms = terms_of(TargetKl(0.3, 1.0, None), model)
    wanted = terms["rec"] + (kls - 0.3).abs().mean()
    torch.testing.assert_close(terms["loss"], wanted, rtol=1e-6, atol=0.0)
    terms["loss"].backward()
    gradients(model.prior)


def test_what_cannot_be_is_told():
    for target, beta, ramp, word in ((-1, 1, 1, "target"), (1, -1, 1, "beta"), (1, 1, 0, "ramp")):
        with pytest.raises(ValueError, match=word):
            TargetKl(target, beta, ramp)
    with pytest.raises(TypeError, match="density"):
        terms_of(TargetKl(1.0, 1.0, None), tiny_model("deterministic").double())
