"""Linear classifiers, trained together, against torch's own, one at a time."""

import copy
from itertools import count

import numpy as np
import pytest
import torch
from labelled import LATENT, Pixels, clouded
from torch import nn
from torch.nn.functional import cross_entropy, pad

from vaebench.errors import UserError
from vaebench.evaluation.labelled_codes import LabelledCodes, label_order, labelled_codes
from vaebench.evaluation.linear_classifiers import accuracies, batched, fit, linear_classifier

CLASSES, RUNS = 3, 4
SETTINGS = {"validation": 20, "batch_size": 16, "lr": 0.01, "interval": 5}


def alone(weights, codes, classes, held_out, orders, batch_size, lr, interval):
    """One classifier by torch: the best weights and the steps taken."""
    layer = nn.Linear(LATENT, CLASSES)
    with torch.no_grad():
        layer.weight.copy_(weights[:-1].T)
        layer.bias.copy_(weights[-1])
    batches = [*zip(codes.split(batch_size), classes.split(batch_size), strict=True)]
    optimizer = torch.optim.SGD(layer.parameters(), lr=lr)
    best, highest, failures, halvings = None, -1.0, 0, 0
    places = (int(place) for order in orders for place in order)
    for step, place in enumerate(places, 1):
        x, y = batches[place]
        optimizer.zero_grad()
        cross_entropy(layer(x), y, reduction="sum").backward()
        optimizer.step()
        if step % interval == 0:
            right = layer(held_out.codes).argmax(1) == held_out.classes
            accuracy = right.double().mean().item()
            if accuracy > highest:
                best, highest, failures = copy.deepcopy(layer.state_dict()), accuracy, 0
            else:
                failures += 1
                if failures >= 3:
                    halvings += 1
                    for group in optimizer.param_groups:
                        group["lr"] *= 0.5
                if halvings == 4:
                    break
    return torch.cat([best["weight"].T, best["bias"][None]]), step


def with_ones(codes):
    return pad(codes, (0, 1), value=1.0)


@pytest.mark.parametrize(("size", "batch_size"), [(37, 8), (32, 8), (5, 8)])
def test_all_runs_at_once_are_what_torch_trains_one_by_one(size, batch_size):
    train, _ = labelled_codes(Pixels(), clouded(spread=0.4), 0)
    index = np.stack([label_order(70, run) for run in range(RUNS)])
    known, held = index[:, :size], index[:, -20:]
    torch.manual_seed(0)
    start = torch.randn(RUNS, LATENT + 1, CLASSES)
    batches = -(-size // batch_size)
    drawn = [torch.rand(RUNS, batches).argsort(1) for _ in range(4_000 // batches)]
    steps, wanted = [], []
    for run in range(RUNS):
        codes, classes = train.take(known[run])
        orders = [order[run] for order in drawn]
        best, taken = alone(
            start[run], codes, classes, train.take(held[run]), orders, batch_size, 0.01, 3
        )
        steps.append(taken)
        wanted.append(best)
    assert len(set(steps)) > 1 and max(steps) < 4_000 - batches  # each ends when it must
    used = iter(drawn)
    ones = LabelledCodes(with_ones(train.codes), train.classes)
    with torch.no_grad():
        cut = batched(ones, known, batch_size, CLASSES)
        found = fit(start, cut, ones.take(held), used, lr=0.01, interval=3)
    torch.testing.assert_close(found, torch.stack(wanted), rtol=1e-4, atol=1e-4)
    assert len(drawn) - len([*used]) == -(-max(steps) // batches)  # and it ends with the last


@pytest.mark.parametrize("interval", [1, 6])
def test_a_run_that_never_gains_ends_after_seven_looks(interval):
    """The first look is the best; the third to the sixth failure halve the rate."""
    torch.manual_seed(0)
    codes, targets = torch.randn(8, 3), torch.zeros(8, dtype=torch.int64)
    known = LabelledCodes(codes, targets)
    cut = batched(known, np.arange(8)[None], 8, 2)
    held = LabelledCodes(codes[None], torch.full((1, 8), 9))  # never right
    taken = count()
    orders = (torch.zeros(1, 1, dtype=torch.int64) for _ in taken)
    weights = torch.zeros(1, 3, 2)
    after_first = weights.clone()
    for _ in range(interval):
        slopes = (codes @ after_first[0]).softmax(1) - torch.tensor([1.0, 0.0])
        after_first[0] -= 0.1 * codes.T @ slopes
    best = fit(weights, cut, held, orders, lr=0.1, interval=interval)
    assert next(taken) == 7 * interval
    torch.testing.assert_close(best, after_first)
    assert not torch.allclose(best, weights)  # they went on


def test_a_batch_is_of_neighbours_and_filled_with_what_teaches_nothing():
    known = LabelledCodes(torch.arange(1.0, 12)[:, None], torch.arange(11) % 2)
    index = np.stack([np.arange(11)[::-1], np.arange(11)])[:, :7]
    codes, classes = batched(known, index, 3, 2)
    assert codes[..., 0].tolist() == [
        [[11, 10, 9], [8, 7, 6], [5, 0, 0]],
        [[1, 2, 3], [4, 5, 6], [7, 0, 0]],
    ]
    assert classes.sum(3).tolist() == [[[1, 1, 1], [1, 1, 1], [1, 0, 0]]] * 2
    assert classes[1, 2].tolist() == [[1, 0], [0, 0], [0, 0]]


def test_answers_are_counted_by_run():
    weights = torch.stack([torch.eye(2), 1 - torch.eye(2)])
    codes = torch.tensor([[2.0, 1.0], [1.0, 2.0], [3.0, 0.0], [5.0, 4.0]])
    known = LabelledCodes(codes, torch.tensor([0, 1, 0, 1]))
    assert accuracies(weights, known).tolist() == [0.75, 0.25]
    each = LabelledCodes(codes.expand(2, 4, 2), torch.stack([known.classes, 1 - known.classes]))
    assert accuracies(weights, each).tolist() == [0.75, 0.75]


@pytest.mark.parametrize("labels", [15, None])
def test_classes_that_lie_apart_are_learnt(labels):
    torch.manual_seed(0)
    data = clouded(spread=0.02)
    found = linear_classifier(Pixels(), data, labels=labels, draws=2, runs=3, **SETTINGS)
    assert found == {"accuracy": 100, "accuracy_std": 0}


def test_it_is_the_mean_over_runs_of_what_torch_would_do():
    """From the codes on, with what the evaluator draws, in its order."""
    data = clouded(spread=0.4)
    torch.manual_seed(4)
    found = linear_classifier(Pixels(), data, labels=30, draws=0, runs=3, **SETTINGS)
    train, test = labelled_codes(Pixels(), data, 0)
    torch.manual_seed(4)
    start = [(2 * torch.rand(LATENT + 1, CLASSES) - 1) / LATENT**0.5 for _ in range(3)]
    drawn = [torch.rand(3, 2).argsort(1) for _ in range(2_000)]
    shares = []
    for run in range(3):
        index = label_order(70, run)
        codes, classes = train.take(index[:30])
        orders = [order[run] for order in drawn]
        best, _ = alone(start[run], codes, classes, train.take(index[50:]), orders, 16, 0.01, 5)
        answers = (with_ones(test.codes) @ best).argmax(1)
        shares.append(100 * (answers == test.classes).double().mean().item())
    assert found["accuracy"] == pytest.approx(np.mean(shares))
    assert found["accuracy_std"] == pytest.approx(np.std(shares)) and np.std(shares) > 0


def test_more_labels_than_are_left_are_all_that_are_left():
    found = []
    for labels in (50, 60, None):
        torch.manual_seed(0)
        data = clouded(spread=0.4)
        found.append(linear_classifier(Pixels(), data, labels=labels, draws=0, runs=2, **SETTINGS))
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"labels": 0}, "labels is 0"),
        ({"draws": "50"}, "draws is '50'"),
        ({"runs": 0}, "runs is 0"),
        ({"validation": 0}, "validation is 0; expected a whole number from 1"),
        ({"validation": 70}, "validation is 70; the training split has 70 examples"),
        ({"batch_size": 0}, "batch_size is 0"),
        ({"interval": 2.5}, "interval is 2.5"),
    ],
)
def test_wrong_parameters_are_named(change, told):
    given = {"labels": 30, "draws": 0, "runs": 2, **SETTINGS, **change}
    with pytest.raises(UserError, match=f"linear_classifier: {told}"):
        linear_classifier(Pixels(), clouded(), **given)
