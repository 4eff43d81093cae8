"""Probes trained at once against each trained by itself with torch's layers."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from vaebench.evaluation.mlp_probes import Probes, accuracies, fit, orders, parts

PROBES, LATENT, HIDDEN, CLASSES, SIZE = 3, 2, (7, 5), 4, 30


def blobs(size, seed=0):
    """Codes around the corners of a square, and their labels."""
    generator = torch.manual_seed(seed)
    labels = torch.randint(CLASSES, (size,), generator=generator)
    corners = torch.stack([labels % 2, labels // 2], 1) * 4.0 - 2
    return corners + 0.3 * torch.randn(size, LATENT, generator=generator), labels


def alone(probes, place):
    """One of the probes as torch has it."""
    layers = []
    for weight, bias in zip(probes.weights, probes.biases, strict=True):
        layer = nn.Linear(*weight.shape[1:])
        with torch.no_grad():
            layer.weight.copy_(weight[place].t())
            layer.bias.copy_(bias[place, 0])
        layers += [layer, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def test_each_learns_as_if_it_were_alone():
    torch.manual_seed(1)
    probes, (codes, labels) = Probes(PROBES, LATENT, HIDDEN, CLASSES), blobs(SIZE)
    singles = [alone(probes, place) for place in range(PROBES)]
    drawn = list(orders(probes, SIZE, 4))
    with torch.no_grad():  # as evaluators are called
        fit(probes, codes, labels, drawn, batch_size=8, lr=0.01)
    for place, single in enumerate(singles):
        optimizer = torch.optim.Adam(single.parameters(), lr=0.01, eps=1e-7)
        for order in drawn:
            for index in torch.split(order[place], 8):
                optimizer.zero_grad()
                F.cross_entropy(single(codes[index]), labels[index]).backward()
                optimizer.step()
        expected = single(codes)
        torch.testing.assert_close(
            probes(codes.expand(PROBES, -1, -1))[place], expected, rtol=1e-4, atol=1e-5
        )
        share = (expected.argmax(1) == labels).double().mean()
        assert accuracies(probes, codes, labels)[place] == share


def test_they_learn_what_is_easy():
    torch.manual_seed(0)
    probes = Probes(PROBES, LATENT, HIDDEN, CLASSES)
    before = accuracies(probes, *blobs(200, seed=1))
    fit(probes, *blobs(300), orders(probes, 300, 20), batch_size=16, lr=0.01)
    found = accuracies(probes, *blobs(200, seed=1))
    assert before.max() < 0.9 and found.min() > 0.98


def test_they_begin_differently_and_as_keras_does():
    torch.manual_seed(0)
    probes = Probes(10, 32, (128, 128), 14)
    assert sum(p.numel() for p in probes.parameters()) == 10 * (33 * 128 + 129 * 128 + 129 * 14)
    for weight, bias in zip(probes.weights, probes.biases, strict=True):
        bound = math.sqrt(6 / (weight.shape[1] + weight.shape[2]))
        assert 0.99 * bound < weight.abs().max() <= bound and (bias == 0).all()
        assert not torch.equal(weight[0], weight[1])


def test_an_order_has_every_code_once_and_probes_have_their_own():
    drawn = list(orders(Probes(PROBES, LATENT, HIDDEN, CLASSES), SIZE, 2))
    for order in drawn:
        assert torch.equal(order.sort(1).values, torch.arange(SIZE).expand(PROBES, -1))
    rows = torch.cat(drawn)
    assert len(rows.unique(dim=0)) == len(rows)


@pytest.mark.parametrize(
    ("size", "fitted", "tested"), [(14_000, 8_960, 2_800), (10_000, 6_400, 2_000)]
)
def test_the_parts_are_as_large_as_the_papers(size, fitted, tested):
    learn, test = parts(size, 0)
    assert (len(learn), len(test)) == (fitted, tested)
    both = torch.cat([learn, test])
    assert len(both.unique()) == len(both) and both.max() < size
    assert torch.equal(parts(size, 0)[0], learn) and not torch.equal(parts(size, 1)[0], learn)
