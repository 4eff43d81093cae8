"""Probes that learn from few: from which sentences, and on which they are tested."""

from dataclasses import replace

import pytest
import torch
from fixtures import text_dataset
from test_evaluation_dense_probes import FITTED, HELD, plain_codes

from vaebench.errors import UserError
from vaebench.evaluation import mlp_probes
from vaebench.evaluation.mlp_probes import dense_probes, few_shot_probes

DATA = text_dataset(train=210, test=200)
PROBES = {"count": 3, "hidden": [16], "epochs": 25, "batch_size": 16, "lr": 0.01}


def accuracy(data, **change):
    torch.manual_seed(0)
    told = {"split": "train", "share": 0.2, **PROBES, **change}
    return few_shot_probes(plain_codes(), data, **told)["accuracy"]


def shifted(part, index):
    """The split with other labels for some of the sentences."""
    labels = part.labels.clone()
    labels[index] = (labels[index] + 1) % 3
    return replace(part, labels=labels)


def learnt(monkeypatch, **change):
    """The codes and labels that probes learn from."""
    found = []

    def fit(probes, codes, labels, orders, **rest):
        found.extend([codes, labels, [order.shape for order in orders]])

    monkeypatch.setattr(mlp_probes, "fit", fit)
    accuracy(DATA, **change)
    return found


def test_few_of_the_training_split_are_enough_for_what_is_easy():
    assert accuracy(DATA, epochs=60) == 100


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_right_sentences_are_tested(split):
    """All of the test split, or the last fifth alone."""
    data = replace(DATA, test=shifted(DATA.test, HELD[:10]))
    tested = 200 if split == "train" else 40
    found = accuracy(data, split=split, share=0.5, epochs=60)
    assert found == pytest.approx(100 * (1 - 10 / tested), rel=1e-12)


@pytest.mark.parametrize(
    ("split", "share", "size"),
    [
        ("train", 0.2, 42),
        ("train", 1, 210),
        ("train", 0.001, 1),
        ("test", 0.5, 64),
        ("test", 1, 128),
    ],
)
def test_they_learn_from_a_share_with_as_many_of_each_class(split, share, size, monkeypatch):
    codes, labels, shapes = learnt(monkeypatch, split=split, share=share)
    assert len(codes) == len(labels) == size and set(shapes) == {(3, size)}
    whole = DATA.train.labels if split == "train" else DATA.test.labels[FITTED]
    counts = torch.bincount(labels, minlength=3)
    if share < 1:
        assert counts.max() - counts.min() <= 1
    else:
        assert torch.equal(counts, torch.bincount(whole))
    # A code counts the words of each kind, and every word of a sentence is of its class.
    assert torch.equal(codes.argmax(1), labels)


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_larger_share_has_all_of_a_smaller_one(split, monkeypatch):
    shares = [learnt(monkeypatch, split=split, share=share) for share in (0.1, 0.4)]
    fewer, more = ([(*map(float, code), int(y)) for code, y in zip(c, y, strict=True)]
                   for c, y, _ in shares)  # fmt: skip
    for one in fewer:
        more.remove(one)


def test_all_of_the_test_split_is_as_dense_probes_have_it():
    change = {"epochs": 1, "lr": 0.002}
    torch.manual_seed(0)
    expected = dense_probes(plain_codes(), DATA, keep=1, **PROBES | change)
    assert accuracy(DATA, split="test", share=1, **change) == expected["accuracy"] < 100


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"share": 0}, "share is 0; expected one above 0"),
        ({"share": 1.5}, r"share is 1\.5"),
        ({"split": "both"}, "split is 'both'; expected train or test"),
    ],
)
def test_what_cannot_be_is_refused(change, told):
    with pytest.raises(UserError, match=told):
        accuracy(DATA, **change)


def test_what_has_no_classes_is_refused():
    unlabelled = replace(DATA, info=replace(DATA.info, classes=0))
    with pytest.raises(UserError, match="few_shot_probes: sentences has no sentences with classes"):
        accuracy(unlabelled)
