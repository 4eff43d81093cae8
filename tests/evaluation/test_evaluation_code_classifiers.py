"""Neighbours and support vector machines on few labels, and which codes have these."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from labelled import LATENT, Pixels, clouded, codes_of
from sklearn.svm import SVC

from vaebench.errors import UserError
from vaebench.evaluation import linear_classifiers
from vaebench.evaluation.code_classifiers import nearest_neighbours, support_vectors
from vaebench.evaluation.labelled_codes import in_percent, label_order
from vaebench.evaluation.linear_classifiers import linear_classifier

LINEAR = {"validation": 20, "batch_size": 8, "lr": 0.01, "interval": 3}


def parts(data):
    """Codes and classes of both splits."""
    train, test = data.train, data.test
    return codes_of(train), train.labels.numpy(), codes_of(test), test.labels.numpy()


def learnt(size, labels, runs):
    """The places of the labelled codes of every run."""
    return [label_order(size, run)[:labels] for run in range(runs)]


def percent(shares):
    """Mean and deviation over n, as the evaluators should give them."""
    found = 100 * np.array(shares)
    return {
        "accuracy": pytest.approx(found.mean()),
        "accuracy_std": pytest.approx(found.std(), abs=1e-9),
    }


@pytest.mark.parametrize("labels", [12, 40])
def test_neighbours_vote_by_one_over_their_distance(labels):
    data = clouded()
    codes, classes, test, told = parts(data)
    shares, plain = [], []
    for known in learnt(70, labels, 3):
        right, unweighted = 0, 0
        for code, wanted in zip(test, told, strict=True):
            distances = np.sqrt(((codes[known] - code) ** 2).sum(1))
            nearest = distances.argsort()[:7]
            votes = np.bincount(classes[known][nearest], 1 / distances[nearest], 3)
            right += votes.argmax() == wanted
            unweighted += np.bincount(classes[known][nearest], minlength=3).argmax() == wanted
        shares.append(right / len(test))
        plain.append(unweighted / len(test))
    found = nearest_neighbours(Pixels(), data, labels=labels, draws=0, runs=3, neighbours=7)
    assert found == percent(shares) and found["accuracy_std"] > 0
    assert found != percent(plain)


def machines(data, labels, runs, gram):
    """Accuracies of support vector machines that see nothing but products of codes."""
    codes, classes, test, told = parts(data)
    shares = []
    for known in learnt(len(codes), labels, runs):
        seen = codes[known]
        machine = SVC(C=1, kernel="precomputed").fit(gram(seen, seen), classes[known])
        shares.append(machine.score(gram(test, seen), told))
    return shares


def radial(gamma):
    def gram(left, right):
        return np.exp(-gamma * ((left[:, None] - right[None]) ** 2).sum(2))

    return gram


@pytest.mark.parametrize("labels", [12, 40])
def test_the_linear_kernel_is_the_product(labels):
    data = clouded()
    wanted = machines(data, labels, 3, lambda left, right: left @ right.T)
    found = support_vectors(Pixels(), data, kernel="linear", labels=labels, draws=0, runs=3)
    assert found == percent(wanted)


@pytest.mark.parametrize("labels", [12, 40])
def test_the_radial_kernel_has_one_over_the_latent_size(labels):
    data = clouded()
    codes = codes_of(data.train)
    found = support_vectors(Pixels(), data, kernel="rbf", labels=labels, draws=0, runs=3)
    assert found == percent(machines(data, labels, 3, radial(1 / LATENT)))
    scaled = radial(1 / (LATENT * codes.var()))  # the default of today
    assert found != percent(machines(data, labels, 3, scaled))


@pytest.mark.parametrize("labels", [None, 70, 1_000])
def test_all_labels_are_learnt_from_once(labels, monkeypatch):
    fits = []

    class Counted(SVC):
        def fit(self, codes, classes):
            fits.append(len(codes))
            return super().fit(codes, classes)

    monkeypatch.setattr("sklearn.svm.SVC", Counted)
    data = clouded()
    found = support_vectors(Pixels(), data, kernel="linear", labels=labels, draws=0, runs=5)
    assert fits == [70] and found["accuracy_std"] == 0
    codes, classes, test, told = parts(data)
    whole = SVC(kernel="linear").fit(codes, classes).score(test, told)
    assert found["accuracy"] == pytest.approx(100 * whole)
    voted = nearest_neighbours(Pixels(), data, labels=labels, draws=0, runs=5, neighbours=3)
    assert voted["accuracy_std"] == 0


def rows(codes, classes):
    """Codes with their classes as a set."""
    return {(*code, label) for code, label in zip(codes, classes, strict=True)}


class Recorder:
    """A classifier that remembers what it learnt from, and answers 0."""

    def __init__(self, seen):
        self.seen = seen

    def fit(self, codes, classes):
        self.seen.append(rows(codes.tolist(), classes.tolist()))
        return self

    def predict(self, codes):
        return np.zeros(len(codes), np.int64)


def seen_by(name, data, labels, monkeypatch):
    """The codes and classes that an evaluator learns from in each of two runs."""
    seen, told = [], {"labels": labels, "draws": 0, "runs": 2}
    monkeypatch.setattr("sklearn.svm.SVC", lambda **_: Recorder(seen))
    monkeypatch.setattr("sklearn.neighbors.KNeighborsClassifier", lambda *_, **__: Recorder(seen))

    def fit(weights, batches, *_, **__):
        for codes, classes in zip(*batches, strict=True):
            real = classes.sum(2) > 0
            without_ones = codes[real][:, :-1].double()
            seen.append(rows(without_ones.tolist(), classes[real].argmax(1).tolist()))
        return weights

    monkeypatch.setattr(linear_classifiers, "fit", fit)
    match name:
        case "neighbours":
            nearest_neighbours(Pixels(), data, neighbours=2, **told)
        case "machines":
            support_vectors(Pixels(), data, kernel="rbf", **told)
        case "layers":
            linear_classifier(Pixels(), data, **told, **LINEAR)
    return seen


@pytest.mark.parametrize("name", ["neighbours", "machines", "layers"])
def test_smaller_sets_are_within_larger_ones_and_the_same_for_all(name, monkeypatch):
    data = clouded()
    torch.manual_seed(0)
    few = seen_by(name, data, 10, monkeypatch)
    torch.manual_seed(1)
    many = seen_by(name, data, 30, monkeypatch)
    assert [len(seen) for seen in few] == [10, 10] and [len(seen) for seen in many] == [30, 30]
    assert all(a < b for a, b in zip(few, many, strict=True))
    assert few[0] != few[1] and many[0] != many[1]  # every run has its own
    assert few == seen_by("machines", data, 10, monkeypatch)


def test_labels_are_drawn_alike_from_everywhere():
    """Each example is among the first 30 of 100 in 30 percent of runs, and no class is favoured."""
    counts = np.bincount(np.concatenate([label_order(100, run)[:30] for run in range(2_000)]))
    assert sorted(label_order(100, 3)) == list(range(100))
    deviation = (2_000 * 0.3 * 0.7) ** 0.5
    assert np.abs(counts - 600).max() < 5 * deviation
    assert np.abs(counts - 600).std() > deviation / 4  # they are draws, not a partition


def test_the_deviation_is_that_of_the_population():
    found = in_percent([0.5, 0.75, 1.0])
    assert found["accuracy"] == pytest.approx(75)
    assert found["accuracy_std"] == pytest.approx((1_250 / 3) ** 0.5)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"labels": 0}, "labels is 0; expected a whole number from 1"),
        ({"labels": "all"}, "labels is 'all'; expected a whole number from 1, or null for all"),
        ({"labels": True}, "labels is True"),
        ({"draws": -1}, "draws is -1; expected a whole number from 0"),
        ({"runs": 0}, "runs is 0"),
        ({"labels": 1}, "one class alone"),
    ],
)
def test_wrong_parameters_are_named(change, told):
    given = {"labels": 20, "draws": 0, "runs": 2, **change}
    with pytest.raises(UserError, match=f"nearest_neighbours: .*{told}"):
        nearest_neighbours(Pixels(), clouded(), neighbours=1, **given)
    with pytest.raises(UserError, match=f"support_vectors: .*{told}"):
        support_vectors(Pixels(), clouded(), kernel="rbf", **given)


def test_what_a_classifier_alone_is_told_is_named():
    given = {"labels": 20, "draws": 0, "runs": 2}
    with pytest.raises(UserError, match="21 neighbours among 20 labels"):
        nearest_neighbours(Pixels(), clouded(), neighbours=21, **given)
    with pytest.raises(UserError, match="71 neighbours among 70 labels"):
        nearest_neighbours(Pixels(), clouded(), neighbours=71, **given | {"labels": None})
    with pytest.raises(UserError, match="neighbours is 0"):
        nearest_neighbours(Pixels(), clouded(), neighbours=0, **given)
    with pytest.raises(UserError, match="kernel is 'poly'; expected linear or rbf"):
        support_vectors(Pixels(), clouded(), kernel="poly", **given)


def test_data_without_classes_are_refused():
    data = clouded()
    nothing = replace(data, info=replace(data.info, classes=0))
    with pytest.raises(UserError, match="synthetic has no classes"):
        nearest_neighbours(Pixels(), nothing, labels=4, draws=0, runs=1, neighbours=1)
