"""The aggregated posterior against a direct sum over the data."""

import math

import numpy as np
import pytest
from fixtures import dataset, tiny_model

from vaebench.errors import UserError
from vaebench.evaluation.encoding import posteriors
from vaebench.evaluation.latent_density import aggregated_posterior

SHAPE = (1, 4, 4)


def normal(x, mean, variance):
    return math.exp(-((x - mean) ** 2) / (2 * variance)) / math.sqrt(2 * math.pi * variance)


@pytest.mark.parametrize("head", ["diagonal", "isotropic"])
def test_it_is_the_mean_of_the_posteriors(head):
    model, data = tiny_model(head, shape=SHAPE, scale=2.0).eval(), dataset()
    found = aggregated_posterior(model, data, points=5, extent=2.0)
    assert found["places"].tolist() == [-2, -1, 0, 1, 2]
    one = posteriors(model, data.test)
    gaussians = list(zip(one.mean.tolist(), one.variance.tolist(), strict=True))
    for i, second in enumerate((-2.0, -1.0, 0.0, 1.0, 2.0)):
        for j, first in enumerate((-2.0, -1.0, 0.0, 1.0, 2.0)):
            expected = sum(
                normal(first, mean[0], variance[0]) * normal(second, mean[1], variance[1])
                for mean, variance in gaussians
            ) / len(gaussians)
            assert found["density"][i, j] == pytest.approx(expected, rel=1e-5)
    assert not np.allclose(found["density"], found["density"].T, rtol=0.1)
    np.testing.assert_allclose(found["means"], one.mean, rtol=1e-6)
    assert np.array_equal(found["labels"], data.test.labels)


def test_it_holds_all_the_mass():
    model = tiny_model("fixed", shape=SHAPE, scale=2.0).eval()
    density = aggregated_posterior(model, dataset(), points=161, extent=20.0)["density"]
    assert float(density.sum(dtype=np.float64)) * 0.25**2 == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize(
    ("head", "latent", "told"),
    [("deterministic", 2, "encoder has no density"), ("diagonal", 3, "codes have 3 dimensions")],
)
def test_what_has_no_map_is_refused(head, latent, told):
    with pytest.raises(UserError, match=told):
        model = tiny_model(head, latent=latent, shape=SHAPE).eval()
        aggregated_posterior(model, dataset(), points=5, extent=2.0)
