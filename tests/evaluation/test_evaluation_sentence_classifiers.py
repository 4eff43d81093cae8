"""Classifiers of sentences against layers of torch trained step by step, and on known answers."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from fixtures import dataset, sentences, text_dataset
from torch import nn
from torch.nn import functional as F

from vaebench.data.dataset import TextSplit
from vaebench.data.tokenizers import BOS, EOS, PAD
from vaebench.errors import UserError
from vaebench.evaluation.sentence_classifiers import (
    Codes,
    accuracy,
    fit,
    initialised,
    sentence_classifiers,
)

SETTINGS = {"epochs": 30, "batch_size": 4, "lr": 1.0}


class Counts:
    """A model whose features are how often each word occurs; `seen` keeps every sentence."""

    def __init__(self, vocabulary=13):
        self.vocabulary, self.seen = vocabulary, []

    def infer(self, x):
        self.seen += [tuple(word for word in row if word != PAD) for row in x.tolist()]
        return SimpleNamespace(features=F.one_hot(x, self.vocabulary)[:, :, 4:].sum(1).float())


def problem(count, scale, seed):
    """Codes of three classes that overlap, in double precision, with a one behind."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(3, (count,), generator=generator)
    noise = torch.randn(count, 4, generator=generator, dtype=torch.float64)
    features = scale * (F.one_hot(targets, 4) + noise)
    return Codes(F.pad(features, (0, 1), value=1.0), targets)


def step_by_step(weights, batches, validation, orders, lr):
    """The best layer, how often the rate decayed and how often the gradient was clipped."""
    layer = nn.Linear(len(weights) - 1, weights.shape[1], dtype=torch.float64)
    with torch.no_grad():
        layer.weight.copy_(weights[:-1].T)
        layer.bias.copy_(weights[-1])
    optimizer = torch.optim.SGD(layer.parameters(), lr=lr)
    history, kept, bad, decays, clipped = [], [], 0, 0, 0
    reference = 1e4
    for order in orders:
        for i in order:
            features, targets = batches[i]
            optimizer.zero_grad()
            F.cross_entropy(layer(features[:, :-1]), targets).backward()
            clipped += int(nn.utils.clip_grad_norm_(layer.parameters(), 5.0) > 5.0)
            optimizer.step()
        with torch.no_grad():
            loss = F.cross_entropy(layer(validation.features[:, :-1]), validation.targets).item()
        history.append(loss)
        kept.append({name: tensor.clone() for name, tensor in layer.state_dict().items()})
        best = kept[history.index(min(history))]
        if loss > reference:
            bad += 1
            if bad == 2:
                reference, bad, decays = loss, 0, decays + 1
                layer.load_state_dict(best)
                optimizer = torch.optim.SGD(layer.parameters(), lr=lr * 0.5**decays)
        else:
            reference, bad = loss, 0
        if decays == 5:
            break
    layer.load_state_dict(best)
    return layer, decays, clipped


@pytest.mark.parametrize(("scale", "clips"), [(1.0, False), (8.0, True)])
@pytest.mark.parametrize(("epochs", "ends"), [(9, False), (60, True)])
def test_it_learns_as_a_layer_of_torch_does(scale, clips, epochs, ends):
    train, validation = problem(90, scale, 0), problem(40, scale, 1)
    batches = [train.take(index) for index in torch.arange(90).split(7)]
    torch.manual_seed(0)
    weights = initialised(5, 3, train.features)
    orders = [torch.randperm(len(batches)).tolist() for _ in range(epochs)]
    expected, decayed, clipped = step_by_step(weights, batches, validation, orders, 1.0)
    assert decayed > 0  # what is compared does happen
    assert (decayed == 5, clipped > 0) == (ends, clips)
    best = fit(weights, batches, validation, iter(orders), 1.0)
    torch.testing.assert_close(best[:-1].T, expected.weight.data, rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(best[-1], expected.bias.data, rtol=1e-7, atol=1e-9)
    with torch.no_grad():
        right = expected(validation.features[:, :-1]).argmax(1) == validation.targets
    assert accuracy(best, validation) == float(right.double().mean())


def test_layers_start_as_torch_starts_them():
    torch.manual_seed(0)
    weights = initialised(5, 2800, torch.zeros((), dtype=torch.float64))
    linear = nn.Linear(4, 2800)
    pairs = (weights[:-1], linear.weight.detach()), (weights[-1], linear.bias.detach())
    for ours, theirs in pairs:
        assert float(ours.abs().max()) == pytest.approx(float(theirs.abs().max()), abs=0.005)
        assert float(ours.square().mean()) == pytest.approx(0.25 / 3, abs=0.006)


def test_what_can_be_separated_is_known():
    torch.manual_seed(0)
    found = sentence_classifiers(Counts(), text_dataset(), labels=[25, 45], **SETTINGS)
    assert found == {"accuracy_25": 100.0, "accuracy_45": 100.0}


def test_more_labels_help_and_noise_is_guessed():
    """There are 90 words a class, of which few sentences hold few."""
    data = text_dataset(train=1000, test=1000, words=270)
    settings = SETTINGS | {"batch_size": 16, "labels": [20, 1000]}
    torch.manual_seed(0)
    few, many = sentence_classifiers(Counts(274), data, **settings).values()
    assert 40 < few < 75 and many > 95
    order = torch.randperm(1000)
    shuffled = replace(data, test=replace(data.test, labels=data.test.labels[order]))
    error = 100 * (1 / 3 * 2 / 3 / 1000) ** 0.5
    for guessed in sentence_classifiers(Counts(274), shuffled, **settings).values():
        assert guessed == pytest.approx(100 / 3, abs=5 * error)


def test_the_larger_draw_has_the_smaller_and_nothing_else_is_encoded():
    data = text_dataset(train=500)
    learnt = []
    for labels in ([10], [10, 40]):
        model = Counts()
        sentence_classifiers(model, data, labels=labels, **SETTINGS)
        learnt.append(model.seen)
    few, many = learnt
    others = len(data.validation) + len(data.test)
    assert len(few) == others + 10 and len(many) == others + 40
    assert few[:others] == many[:others] and set(few[others:]) <= set(many[others:])


def test_a_subset_is_the_same_whoever_learns_from_it():
    """The generator that draws batches does not choose the sentences."""
    data, seen = text_dataset(train=500), []
    for seed in (0, 1):
        torch.manual_seed(seed)
        model = Counts()
        sentence_classifiers(model, data, labels=[30], **SETTINGS)
        seen.append(model.seen)
    assert seen[0] == seen[1]


def test_batches_have_one_length_and_those_of_one_sentence_teach_nothing():
    """One sentence a length: no step is taken, so the accuracy is that of the first weights."""
    lengths = torch.arange(3, 9)
    tokens = [word for n in lengths.tolist() for word in (BOS, *[4] * (n - 2), EOS)]
    alone = TextSplit(torch.tensor(tokens).int(), lengths, torch.arange(6) % 2)
    data = replace(text_dataset(), train=alone)
    found = []
    for lr in (1e-3, 1e3):
        torch.manual_seed(0)
        found.append(sentence_classifiers(Counts(), data, labels=[6], **SETTINGS | {"lr": lr}))
    assert found[0] == found[1]


def test_more_labels_than_there_are_are_all_of_them():
    data = text_dataset()
    found = []
    for count in (len(data.train), 10 * len(data.train)):
        torch.manual_seed(0)
        found.append(sentence_classifiers(Counts(), data, labels=[count], **SETTINGS))
    assert [*found[0].values()] == [*found[1].values()]


@pytest.mark.parametrize(
    ("change", "labels", "told"),
    [
        ({"validation": None}, [10], "sentences has no validation sentences"),
        ({"info": replace(text_dataset().info, classes=0)}, [10], "no sentences with classes"),
    ],
)
def test_what_cannot_be_learnt_is_refused(change, labels, told):
    with pytest.raises(UserError, match=told):
        sentence_classifiers(Counts(), replace(text_dataset(), **change), labels=labels, **SETTINGS)


def test_images_are_refused():
    with pytest.raises(UserError, match="synthetic has no sentences with classes"):
        sentence_classifiers(Counts(), dataset(), labels=[4], **SETTINGS)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device is here")
def test_a_gpu_learns_what_a_cpu_learns():
    data = replace(text_dataset(train=200), validation=sentences(50, 3))
    found = []
    for device in ("cpu", "cuda"):
        torch.manual_seed(0)
        found.append(sentence_classifiers(Counts(), data.to(device), labels=[20, 200], **SETTINGS))
    assert found[0] == pytest.approx(found[1], abs=3)
