"""Procedures: one step against Adam written out by hand."""

import pytest
import torch
from fixtures import at, dataset, random_batch, tiny_model, training
from torch import nn

from vaebench.data.dataset import Batch
from vaebench.models.heads import LinearGaussianHead, NormalisedMean
from vaebench.objectives.elbo import negative_elbo
from vaebench.registry.runs import Adam, Sgd
from vaebench.training.procedures import Joint, Setting, make_optimizer


def setting(model, optimizer, **change):
    """What a procedure trains: a model on data of its own."""
    settings = training().model_copy(update={"optimizer": optimizer, **change})
    return Setting(model, settings, dataset().train)


def step_by_hand(model, states, number, settings):
    """One Adam step as Kingma & Ba (2015) write it, from the gradients that are there."""
    first, second = settings.betas
    with torch.no_grad():
        for parameter, state in zip(model.parameters(), states, strict=True):
            state["m"] = first * state["m"] + (1 - first) * parameter.grad
            state["v"] = second * state["v"] + (1 - second) * parameter.grad.square()
            m = state["m"] / (1 - first**number)
            v = state["v"] / (1 - second**number)
            parameter -= settings.lr * m / (v.sqrt() + settings.eps)


@pytest.mark.parametrize("head", ["diagonal", "isotropic"])
@pytest.mark.parametrize(
    "settings",
    [
        Adam(name="adam", lr=0.001),
        Adam(name="adam", lr=0.05, betas=(0.5, 0.9), eps=0.01),
    ],
    ids=["usual", "unusual"],
)
def test_joint_is_adam_on_all_parameters(head, settings):
    ours, theirs = (tiny_model(head, seed=1).double() for _ in range(2))
    procedure = Joint()
    procedure.prepare(setting(ours, settings))
    states = [{"m": torch.zeros_like(p), "v": torch.zeros_like(p)} for p in theirs.parameters()]
    for number in range(1, 6):
        batch = random_batch(7, seed=number)
        torch.manual_seed(number)
        terms = procedure.step(negative_elbo, batch, at(number))
        torch.manual_seed(number)
        expected = negative_elbo(theirs, batch, at(number))
        torch.testing.assert_close(terms["loss"], expected["loss"], rtol=1e-12, atol=1e-12)
        theirs.zero_grad()
        expected["loss"].backward()
        step_by_hand(theirs, states, number, settings)
        for name, parameter in ours.named_parameters():
            wanted = theirs.get_parameter(name)
            torch.testing.assert_close(parameter, wanted, rtol=1e-11, atol=1e-12)


def test_the_fused_adam_is_torchs_own():
    settings = Adam(name="adam", lr=0.01, betas=(0.8, 0.99), eps=1e-6)
    models = tiny_model(seed=1), tiny_model(seed=1)
    makers = (
        lambda parameters: make_optimizer(parameters, settings),
        lambda parameters: torch.optim.Adam(
            parameters, lr=0.01, betas=(0.8, 0.99), eps=1e-6, foreach=False, fused=False
        ),
    )
    for model, make in zip(models, makers, strict=True):
        optimizer = make(model.parameters())
        for number in range(30):
            torch.manual_seed(number)
            batch = random_batch(7, seed=number)
            x = batch.x.float()
            optimizer.zero_grad()
            negative_elbo(model, type(batch)(x, batch.y), at(1))["loss"].backward()
            optimizer.step()
    start = dict(tiny_model(seed=1).named_parameters())
    for name, parameter in models[0].named_parameters():
        torch.testing.assert_close(parameter, models[1].get_parameter(name), rtol=1e-4, atol=1e-5)
        assert (parameter - start[name]).abs().max() > 0.05  # both went a long way


def test_a_step_before_prepare_is_refused():
    with pytest.raises(RuntimeError, match="prepare"):
        Joint().step(negative_elbo, random_batch(3), at(1))


def test_the_state_of_a_procedure_goes_on_where_it_was():
    settings = Adam(name="adam", lr=0.05)

    def steps(procedure, numbers):
        for number in numbers:
            torch.manual_seed(number)
            procedure.step(negative_elbo, random_batch(7, seed=number), at(number))

    straight, first, second = (tiny_model(seed=1).double() for _ in range(3))
    procedures = [Joint() for _ in range(3)]
    for model, procedure in zip((straight, first, second), procedures, strict=True):
        procedure.prepare(setting(model, settings))
    steps(procedures[0], range(1, 7))
    steps(procedures[1], range(1, 4))
    second.load_state_dict(first.state_dict())
    procedures[2].load_state_dict(procedures[1].state_dict())
    steps(procedures[2], range(4, 7))
    for name, parameter in second.named_parameters():
        assert torch.equal(parameter, straight.get_parameter(name))


@pytest.mark.parametrize("largest", [0.5, 1e6])
def test_the_gradient_of_all_parameters_is_clipped_together(largest):
    """To its own direction and the largest norm; below that it is left alone."""
    model = tiny_model(seed=1).double()
    procedure = Joint()
    procedure.prepare(setting(model, Adam(name="adam", lr=0.01), clip=largest))
    batch = random_batch(7)
    torch.manual_seed(2)
    negative_elbo(model, batch, at(1))["loss"].backward()
    wanted = torch.cat([p.grad.flatten() for p in model.parameters()])
    torch.manual_seed(2)
    procedure.step(negative_elbo, batch, at(1))
    found = torch.cat([p.grad.flatten() for p in model.parameters()])
    assert wanted.norm() > 0.5
    wanted = wanted * min(1.0, largest / float(wanted.norm()))
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=0.0)


@pytest.mark.parametrize("left_alone", [False, True])
def test_what_lies_on_a_constraint_is_moved_back_after_an_update(left_alone, monkeypatch):
    """DU-VAE's scales: their mean square is gamma^2 after every step, which Adam alone leaves."""
    if left_alone:
        monkeypatch.setattr(NormalisedMean, "rescale", lambda self: None)
    model = tiny_model()
    mean = NormalisedMean(2, gamma=0.5, scale="rescaled", shift=None, eps=1e-5)
    model.head = LinearGaussianHead(5, 2, bias=True, mean=mean, variance=nn.Identity())
    procedure = Joint()
    procedure.prepare(setting(model, Adam(name="adam", lr=0.05)))
    for step in range(1, 4):
        batch = random_batch(7, seed=step)
        procedure.step(negative_elbo, Batch(batch.x.float(), batch.y), at(step))
        square = float(mean.scale.detach().square().mean())
        assert (square == pytest.approx(0.25, rel=1e-6)) != left_alone


def test_sgd_takes_the_gradient_times_the_rate():
    model = torch.nn.Linear(3, 2)
    before = [parameter.detach().clone() for parameter in model.parameters()]
    optimizer = make_optimizer(model.parameters(), Sgd(name="sgd", lr=0.5))
    model(torch.ones(4, 3)).square().sum().backward()
    optimizer.step()
    for parameter, old in zip(model.parameters(), before, strict=True):
        torch.testing.assert_close(parameter.detach(), old - 0.5 * parameter.grad)
