"""Probes of sentences' codes: what they learn from, what they are tested on, what they read."""

from dataclasses import replace

import pytest
import torch
from fixtures import dataset, random_language_model, text_dataset, tiny_model
from parrots import parrot

from vaebench.data.draws import permutation
from vaebench.data.tokenizers import BOS, EOS, PAD
from vaebench.errors import UserError
from vaebench.evaluation import mlp_probes
from vaebench.evaluation.mlp_probes import dense_probes

DATA = text_dataset(test=200)
SIZE = len(DATA.test)
ORDER = torch.from_numpy(permutation(SIZE, 0))
FITTED, LEFT_OUT, HELD = ORDER[:128], ORDER[128:160], ORDER[160:]
PROBES = {"count": 3, "hidden": [16], "epochs": 25, "batch_size": 16, "lr": 0.01}


def labelled(index=(), shift=0):
    """The data with other labels for some of the test sentences than those of their words."""
    labels = DATA.test.labels.clone()
    labels[list(index)] = (labels[list(index)] + shift) % 3
    return replace(DATA, test=replace(DATA.test, labels=labels))


def plain_codes():
    """A model whose codes are the kinds of the words of a sentence, counted."""
    model = parrot(DATA.info.vocabulary)
    read = model.encoder.forward

    def forward(x):
        read(x)
        kinds = torch.nn.functional.one_hot((x - 4) % 3, 3) * (x > 3)[..., None]
        return kinds.sum(1).float()

    model.encoder.forward = forward
    return model


def accuracy(data, keep=1, **change):
    torch.manual_seed(0)
    return dense_probes(plain_codes(), data, keep=keep, **PROBES | change)["accuracy"]


def test_kinds_that_are_apart_are_told_apart():
    assert accuracy(DATA) == 100


def test_they_are_tested_on_the_last_fifth_alone():
    assert accuracy(labelled(HELD.tolist(), 1)) == 0
    assert accuracy(labelled(HELD[:10].tolist(), 1)) == 75


def test_they_learn_from_the_first_64_percent_alone():
    """Those between are left out, as in the official code."""
    assert accuracy(labelled(LEFT_OUT.tolist(), 1)) == 100
    assert accuracy(labelled([*FITTED.tolist(), *LEFT_OUT.tolist()], 1)) == 0


def test_the_training_split_is_not_looked_at():
    other = replace(DATA, train=None, validation=None)
    assert accuracy(other) == accuracy(DATA)


def test_the_mean_over_probes_counts(monkeypatch):
    found = torch.tensor([0.25, 0.5, 0.9], dtype=torch.float64)
    monkeypatch.setattr(mlp_probes, "accuracies", lambda *rest: found)
    assert accuracy(DATA) == pytest.approx(55)


def test_as_many_probes_are_trained_as_wanted(monkeypatch):
    told = []

    def fit(probes, codes, labels, orders, *, batch_size, lr):
        told.append((probes.weights[0].shape, len(list(orders)), batch_size, lr))
        assert torch.equal(labels, DATA.test.labels[FITTED])

    monkeypatch.setattr(mlp_probes, "fit", fit)
    accuracy(DATA, count=4, hidden=[7, 5], epochs=6, batch_size=9, lr=0.3)
    assert told == [((4, 3, 7), 6, 9, 0.3)]


def sentences_read(model):
    """What the encoder was shown, without padding."""
    rows = [row.tolist() for x in model.encoder.shown for row in x]
    return [[word for word in row if word not in (BOS, EOS, PAD)] for row in rows]


def of_test():
    return [DATA.test.take(torch.tensor([i])).x[0, 1:-1].tolist() for i in range(SIZE)]


def in_turn(shorter, longer):
    """Whether all of one stand in the other, in their order."""
    rest = iter(longer)
    return all(word in rest for word in shorter)


def read_with(keep, **change):
    model = plain_codes()
    dense_probes(model, DATA, keep=keep, **PROBES | {"epochs": 1} | change)
    assert all(((x == EOS).sum(1) == 1).all() for x in model.encoder.shown)
    return sentences_read(model)


def places_read():
    """Where in the split polluted sentences lie, by length and then in the order of the data."""
    kept = (0.7 * (DATA.test.lengths - 2).double()).long()
    return kept.argsort(stable=True).tolist()


def test_a_model_reads_every_test_sentence_once_and_whole():
    assert sorted(read_with(1)) == sorted(of_test())


def test_of_polluted_sentences_only_some_words_are_left():
    """In training and in the test, and the same ones for all models and all seeds."""
    model = plain_codes()
    torch.manual_seed(4)
    dense_probes(model, DATA, keep=0.7, **PROBES | {"epochs": 1})
    found = sentences_read(model)
    by_place = dict(zip(places_read(), found, strict=True))
    for i, whole in enumerate(of_test()):
        assert len(by_place[i]) == int(0.7 * len(whole))
        assert in_turn(by_place[i], whole)
    assert [] in found and sum(map(len, found)) > 100
    torch.manual_seed(5)
    assert read_with(0.7, count=1) == found


def test_words_that_are_gone_are_missed():
    """Of a sentence of a word nothing is left."""
    short = DATA.test.lengths[HELD] == 3
    share = float(short.double().mean())
    assert 0.05 < share < 0.5
    found = accuracy(DATA, keep=0.7)
    assert 100 * (1 - share) <= found < 100


def test_a_model_without_codes_has_none():
    assert dense_probes(random_language_model(), DATA, keep=1, **PROBES) == {"accuracy": None}


def test_what_has_no_classes_is_refused():
    unlabelled = replace(DATA, info=replace(DATA.info, classes=0))
    with pytest.raises(UserError, match="sentences has no sentences with classes"):
        dense_probes(plain_codes(), unlabelled, keep=1, **PROBES)
    with pytest.raises(UserError, match="synthetic has no sentences with classes"):
        dense_probes(tiny_model(shape=(1, 4, 4)).eval(), dataset(), keep=1, **PROBES)
