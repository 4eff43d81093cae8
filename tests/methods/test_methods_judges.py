"""Judges: their networks, their losses and that they learn."""

from dataclasses import replace

import pytest
import torch
from fixtures import CLASSES, all_of, at, attributes, dataset, prepare, training
from torch import nn
from torch.nn import functional as F

from vaebench import methods
from vaebench.data.dataset import DataInfo
from vaebench.errors import UserError
from vaebench.methods import judges

MNIST = DataInfo("mnist", "original", (1, 28, 28), 10, 60_000, 10_000)
CELEBA = DataInfo("celeba", "original", (3, 64, 64), 0, 162_770, 19_962, attributes=40)
LENET = {"filters": [32, 64], "features": 128}
ATTRIBUTES = {"filters": [32, 64, 128, 256]}
SMALL = {
    "judges.lenet": ({"filters": [4, 6], "features": 5}, dataset(shape=(1, 16, 16))),
    "judges.attributes": ({"filters": [4, 6]}, attributes(shape=(3, 16, 16))),
}
every_judge = pytest.mark.parametrize("name", SMALL)


def sizes(model, kind):
    return [tuple(layer.weight.shape) for layer in model.modules() if isinstance(layer, kind)]


def test_lenet_is_the_network_of_fd_lenet():
    model = methods.build("judges.lenet", MNIST, LENET).model
    assert sizes(model, nn.Conv2d) == [(32, 1, 5, 5), (64, 32, 5, 5)]
    assert sizes(model, nn.Linear) == [(128, 1024), (10, 128)]
    images = torch.rand(3, 1, 28, 28)
    features = model.features(images)
    assert features.shape == (3, 128) and features.min() == 0
    assert model(images).shape == (3, 10)


def test_attributes_is_the_network_of_fd_attr():
    model = methods.build("judges.attributes", CELEBA, ATTRIBUTES).model
    convolutions = [(32, 3, 4, 4), (64, 32, 4, 4), (128, 64, 4, 4), (256, 128, 4, 4)]
    assert sizes(model, nn.Conv2d) == convolutions and len(sizes(model, nn.BatchNorm2d)) == 4
    images = torch.rand(3, 3, 64, 64)
    assert model.features(images).shape == (3, 256) and model(images).shape == (3, 40)
    spatial = model.body[:-2](images)
    assert spatial.shape == (3, 256, 4, 4)
    torch.testing.assert_close(model.features(images), spatial.mean((2, 3)))


@every_judge
def test_logits_are_linear_in_the_features(name):
    arguments, data = SMALL[name]
    model, x = methods.build(name, data.info, arguments).model.eval(), all_of(data.test).x
    expected = model.features(x) @ model.output.weight.T + model.output.bias
    torch.testing.assert_close(model(x), expected)


def test_the_loss_of_classes_is_the_cross_entropy():
    data = dataset()
    batch = all_of(data.test)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, CLASSES))
    terms = judges.classification(model, batch, 1)
    p = torch.softmax(model(batch.x), 1)
    right = p[torch.arange(len(p)), batch.y]
    assert terms["loss"].item() == pytest.approx((-right.log().mean()).item(), rel=1e-5)
    share = (p.argmax(1) == batch.y).double().mean()
    assert float(terms["accuracy"]) == pytest.approx(100 * float(share))


def test_the_loss_of_attributes_is_the_mean_of_their_cross_entropies():
    batch = all_of(attributes().test)
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 2 * CLASSES))
    terms = judges.attribution(model, batch, 1)
    logits = model(batch.x)
    scores = F.logsigmoid(torch.where(batch.y == 1, logits, -logits))
    assert terms["loss"].item() == pytest.approx(-scores.mean().item(), rel=1e-5)
    share = ((logits > 0).long() == batch.y).double().mean()
    assert float(terms["accuracy"]) == pytest.approx(100 * float(share))


@every_judge
def test_a_judge_learns(name):
    arguments, data = SMALL[name]
    torch.manual_seed(0)
    recipe, batch = methods.build(name, data.info, arguments), all_of(data.train)
    prepare(recipe, data, training(lr=0.01))
    terms = [recipe.procedure.step(recipe.objective, batch, at(step + 1)) for step in range(100)]
    assert float(terms[-1]["accuracy"]) > 95 > float(terms[0]["accuracy"])


@pytest.mark.parametrize(
    ("name", "arguments", "info"),
    [("judges.lenet", LENET, CELEBA), ("judges.attributes", ATTRIBUTES, MNIST)],
)
def test_a_judge_wants_its_kind_of_labels(name, arguments, info):
    with pytest.raises(UserError, match=r"has no (classes|attributes)"):
        methods.build(name, info, arguments)


@every_judge
def test_images_that_are_too_small_are_refused(name):
    arguments, data = SMALL[name]
    info = replace(data.info, shape=(1, 3, 3))
    with pytest.raises(UserError, match="3x3 are too small"):
        methods.build(name, info, arguments)
