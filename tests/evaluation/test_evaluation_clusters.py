"""Clusters of codes and the classes that they stand for."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from labelled import CLASSES, Pixels, clouded, codes_of, split
from scipy.spatial.distance import cdist
from sklearn.cluster import k_means

from vaebench.errors import UserError
from vaebench.evaluation.clusters import classes_of_nearest, kmeans, majorities
from vaebench.evaluation.encoding import sampled_features
from vaebench.evaluation.labelled_codes import Arrays


def by_hand(train, test, labels, told, clusters, seed):
    """Both accuracies in percent of scikit-learn's function of k-means."""
    centres, members, _ = k_means(train, clusters, random_state=seed, n_init=10)
    most = [
        min(range(CLASSES), key=lambda c: (-sum(labels[members == k] == c), c))
        for k in range(clusters)
    ]
    nearest = labels[cdist(centres, train).argmin(1)]
    own = cdist(test, centres).argmin(1)
    return [100 * np.mean(np.array(classes)[own] == told) for classes in (most, nearest)]


@pytest.mark.parametrize("clusters", [3, 11])
@pytest.mark.parametrize("draws", [0, 2])
def test_it_is_the_mean_over_seeds_of_both_ways_to_name_a_cluster(clusters, draws):
    data, model = clouded(), Pixels()
    torch.manual_seed(0)
    found = kmeans(model, data, clusters=clusters, draws=draws, restarts=3)
    torch.manual_seed(0)
    codes = [
        sampled_features(model, part, draws).float().double().numpy()
        for part in (data.train, data.test)
    ]
    labels = data.train.labels.numpy(), data.test.labels.numpy()
    shares = [by_hand(*codes, *labels, clusters, seed) for seed in range(3)]
    most, nearest = zip(*shares, strict=True)
    assert found == {
        "accuracy": pytest.approx(np.mean(most)),
        "accuracy_std": pytest.approx(np.std(most)),
        "accuracy_nearest": pytest.approx(np.mean(nearest)),
    }
    assert clusters == 3 or (np.std(most) > 0 and found["accuracy"] != found["accuracy_nearest"])


def test_classes_that_lie_apart_are_found():
    found = kmeans(Pixels(), clouded(spread=0.01), clusters=3, draws=3, restarts=2)
    assert found == {"accuracy": 100, "accuracy_std": 0, "accuracy_nearest": 100}


def test_the_code_in_the_middle_speaks_for_a_cluster_or_its_majority():
    """In both clusters the middle is of the other's class."""
    ring = np.array([[1, 0, 0, 0], [-1, 0, 0, 0], [0, 1, 0, 0], [0, -1, 0, 0], [0, 0, 0, 0]]) / 25.5
    codes = np.concatenate([0.2 + ring, 0.8 + ring])
    labels = np.array([0, 0, 0, 0, 1, 1, 1, 1, 1, 0])
    outer = labels == np.repeat([0, 1], 5)
    data = replace(clouded(), train=split(codes, labels), test=split(codes[outer], labels[outer]))
    found = kmeans(Pixels(), data, clusters=2, draws=0, restarts=1)
    assert found == {"accuracy": 100, "accuracy_std": 0, "accuracy_nearest": 0}


def test_the_smallest_of_equal_classes_is_the_majority():
    members, classes = np.array([0, 0, 0, 1, 1, 2, 2, 2]), np.array([3, 1, 1, 2, 1, 0, 3, 3])
    assert majorities(members, classes, 4, 4).tolist() == [1, 1, 3, 0]  # the last has no code


def test_majorities_are_counted():
    rng = np.random.default_rng(0)
    members, classes = rng.integers(0, 5, 200).astype(np.int32), rng.integers(0, 4, 200)
    for cluster, found in enumerate(majorities(members, classes, 5, 4)):
        counts = Counter(classes[members == cluster].tolist())
        assert counts[int(found)] == max(counts.values())
        assert not any(counts[smaller] == counts[int(found)] for smaller in range(int(found)))


def test_the_nearest_may_be_of_another_cluster():
    train = Arrays(np.array([[0.0], [4.0], [5.0]]), np.array([7, 8, 9]))
    assert classes_of_nearest(np.array([[0.0], [4.4], [4.6]]), train).tolist() == [7, 8, 9]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"clusters": 0}, "clusters is 0; expected a whole number from 1"),
        ({"clusters": "10"}, "clusters is '10'"),
        ({"clusters": 71}, "71 clusters of 70 training examples"),
        ({"restarts": 0}, "restarts is 0"),
        ({"draws": -1}, "draws is -1; expected a whole number from 0"),
        ({"draws": 2.0}, "draws is 2.0"),
    ],
)
def test_wrong_parameters_are_named(change, told):
    with pytest.raises(UserError, match=told):
        kmeans(Pixels(), clouded(), **{"clusters": 3, "draws": 0, "restarts": 1, **change})


def test_data_without_classes_are_refused():
    data = clouded()
    with pytest.raises(UserError, match="synthetic has no classes"):
        nothing = replace(data, info=replace(data.info, classes=0))
        kmeans(Pixels(), nothing, clusters=3, draws=0, restarts=1)


def test_codes_are_the_means_of_the_posteriors():
    """What these tests compare with."""
    data = clouded()
    found = sampled_features(Pixels(), data.test, 0)
    np.testing.assert_allclose(found.numpy(), codes_of(data.test), rtol=1e-6)
