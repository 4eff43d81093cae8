"""The whole model: its parameters, its weights on disk, and gradients to all of them."""

import pytest
import torch
from fixtures import HEADS, gradients, random_batch, tiny_model

from vaebench.models.divergence import kl_divergence
from vaebench.training import checkpoints

heads = pytest.mark.parametrize("head", HEADS)


def outputs(model, x, seed=0):
    """All that the four parts make of x."""
    torch.manual_seed(seed)
    posterior = model.infer(x)
    draws = posterior.draw(3)
    z = draws.z
    found = [posterior.mean, z, model.prior.log_prob(z), model.decoder.log_prob(x, z)]
    divergence = kl_divergence(posterior, model.prior, draws)
    return found if divergence is None else [*found, divergence]


@heads
def test_inference_and_generative_parameters_are_all_parameters_once(head):
    model = tiny_model(head)
    inference = {id(parameter) for parameter in model.inference_parameters()}
    generative = {id(parameter) for parameter in model.generative_parameters()}
    assert inference and generative and inference.isdisjoint(generative)
    assert inference | generative == {id(parameter) for parameter in model.parameters()}
    listed = [*model.inference_parameters(), *model.generative_parameters()]
    assert len(listed) == len(list(model.parameters()))


@heads
def test_only_inference_parameters_move_the_posterior(head):
    model, x = tiny_model(head).double(), random_batch(4).x
    model.infer(x).rsample(2).square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.inference_parameters())
    assert all(parameter.grad is None for parameter in model.generative_parameters())


@heads
def test_gradients_reach_every_parameter(head):
    model, x = tiny_model(head).double(), random_batch(4).x
    sum(value.square().sum() for value in outputs(model, x)).backward()
    for name, gradient in gradients(model).items():
        assert gradient.abs().sum() > 0, name


@heads
def test_save_and_load(head, tmp_path):
    model, x = tiny_model(head, seed=1), random_batch(4).x.float()
    checkpoints.save({"model": model.state_dict()}, tmp_path / "weights.pt")
    other = tiny_model(head, seed=2)
    before = outputs(model, x)
    assert not torch.equal(outputs(other, x)[0], before[0])
    checkpoints.load_weights(other, tmp_path / "weights.pt")
    assert all(map(torch.equal, outputs(other, x), before))


@heads
def test_training_and_evaluation_mode_agree(head):
    model, x = tiny_model(head), random_batch(4).x.float()
    training = outputs(model.train(), x)
    assert all(map(torch.equal, outputs(model.eval(), x), training))
