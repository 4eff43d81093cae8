"""What a model sees once before its first step."""

from dataclasses import replace

import pytest
import torch
from fixtures import all_of, dataset, tiny_model, training

from vaebench.data.dataset import PIXELS
from vaebench.objectives.elbo import negative_elbo
from vaebench.training.loop import train
from vaebench.training.recipe import Recipe, Start

DATA = dataset(train=40, shape=(1, 2, 2))


def fit(checkpoint, start, epochs=1, data=DATA, objective=negative_elbo):
    recipe = Recipe(tiny_model(), objective, start=start)
    train(recipe, data, training(epochs), seed=1, device=torch.device("cpu"), checkpoint=checkpoint)


def seen(checkpoint, examples, data=DATA):
    """What a start of so many examples sees."""
    found = []
    torch.manual_seed(3)
    fit(checkpoint, Start(examples, lambda model, x: found.append(x)), data=data)
    (x,) = found
    return x


def test_it_comes_once_before_the_first_step_and_not_when_training_goes_on(checkpoint):
    modes, weights = [], []

    def begin(model, x):
        modes.append((model.training, torch.is_grad_enabled()))
        model.head.mean.weight.fill_(0.25)

    def objective(model, batch, clock):
        weights.append(model.head.mean.weight.detach().clone())
        return negative_elbo(model, batch, clock)

    for epochs in (1, 3):
        fit(checkpoint, Start(25, begin), epochs, objective=objective)
    assert modes == [(True, False)] and len(weights) == 3 * 3
    assert [bool((weight == 0.25).all()) for weight in weights] == [True] + 8 * [False]


def test_the_examples_are_a_draw_without_replacement(tmp_path):
    everything = all_of(DATA.train).x.flatten(1)
    drawn = []
    for part in range(2):
        x = seen(tmp_path / f"{part}.pt", 25)
        which = (x.flatten(1).unsqueeze(1) == everything).all(-1).nonzero()[:, 1].tolist()
        assert len(which) == len(set(which)) == 25 and which != sorted(which)
        drawn.append(which)
    assert drawn[0] == drawn[1]  # by the seed
    assert len(seen(tmp_path / "all.pt", 1000)) == 40


def test_binary_images_are_drawn(tmp_path):
    data = replace(DATA, train=replace(DATA.train, pixels=PIXELS["binary"]))
    assert set(seen(tmp_path / "c.pt", 25, data).unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("examples", [0, -1, 2.5, None])
def test_it_sees_something(examples):
    with pytest.raises(ValueError, match="examples"):
        Start(examples, lambda model, x: None)
