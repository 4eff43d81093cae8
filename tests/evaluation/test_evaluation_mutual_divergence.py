"""Mean and deviation of the divergences between posteriors, pair by pair."""

from dataclasses import replace
from itertools import pairwise, permutations

import numpy as np
import pytest
import torch
from fixtures import dataset, tiny_model
from torch.distributions import Independent, Normal, kl_divergence

from vaebench.errors import UserError
from vaebench.evaluation.mutual_divergence import mutual_divergence

SHAPE = (1, 2, 2)


def pair_by_pair(model, images, batches):
    """Both values as the plain means over lists of places."""
    with torch.no_grad():
        posterior = model.infer(images)
    means, deviations = posterior.mean.double(), posterior.variance.double().sqrt()
    singles = [
        Independent(Normal(mean, deviation), 1)
        for mean, deviation in zip(means, deviations, strict=True)
    ]
    found = []
    for batch in batches:
        pairs = permutations(batch, 2)
        kls = [float(kl_divergence(singles[i], singles[j])) for i, j in pairs]
        found.append((np.mean(kls), np.std(kls, ddof=1)))
    return np.mean(found, 0)


@pytest.mark.parametrize("head", ["diagonal", "isotropic"])
@pytest.mark.parametrize(
    ("size", "batch_size", "sizes"),
    [(23, 8, [8, 8, 7]), (18, 8, [8, 8, 2]), (17, 8, [8, 8]), (16, 8, [8, 8]), (9, 512, [9])],
)
def test_minibatches_of_one_order_count_alike_and_one_image_alone_is_left_out(
    head, size, batch_size, sizes
):
    model, data = tiny_model(head, scale=3, shape=SHAPE).eval(), dataset(test=size, shape=SHAPE)
    torch.manual_seed(5)
    order = torch.randperm(size).tolist()
    starts = np.cumsum([0, *sizes])
    batches = [order[a:b] for a, b in pairwise(starts)]
    mpd, std = pair_by_pair(model, data.test.take(torch.arange(size)).x, batches)
    torch.manual_seed(5)
    found = mutual_divergence(model, data, batch_size=batch_size)
    assert found == {"mpd": pytest.approx(mpd, rel=1e-6), "std": pytest.approx(std, rel=1e-6)}
    assert mpd > 0.01 and std > 0.01


def test_a_needle_among_posteriors_keeps_both_finite():
    """Differences of variances that float32 could not hold."""
    model = tiny_model(shape=SHAPE).eval()
    with torch.no_grad():
        model.head.log_variance.weight.mul_(40)
    found = mutual_divergence(model, dataset(shape=SHAPE), batch_size=8)
    assert all(np.isfinite(value) for value in found.values())


def test_a_deterministic_encoder_has_neither():
    model = tiny_model("deterministic", shape=SHAPE).eval()
    found = mutual_divergence(model, dataset(shape=SHAPE), batch_size=8)
    assert found == {"mpd": None, "std": None}


@pytest.mark.parametrize("batch_size", [1, 0, -8, 8.0, "8", True, None])
def test_a_minibatch_has_two_images(batch_size):
    model = tiny_model(shape=SHAPE).eval()
    with pytest.raises(UserError, match=r"batch_size is .*expected a whole number from 2"):
        mutual_divergence(model, dataset(shape=SHAPE), batch_size=batch_size)


def test_a_test_set_of_one_has_no_pair():
    data = dataset(test=2, shape=SHAPE)
    one = replace(data.test, images=data.test.images[:1], labels=data.test.labels[:1])
    alone = replace(data, test=one)
    with pytest.raises(UserError, match="no two examples"):
        mutual_divergence(tiny_model(shape=SHAPE).eval(), alone, batch_size=8)
