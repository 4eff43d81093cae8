"""Boxes of posteriors against NumPy's percentiles."""

import numpy as np
import pytest
import torch
from fixtures import SHAPE, all_of, dataset, tiny_model

from vaebench.evaluation.posterior_boxes import posterior_boxes


@pytest.mark.parametrize("head", ["diagonal", "isotropic", "deterministic"])
def test_they_are_of_means_and_variances_of_the_test_set(head):
    data, model = dataset(test=23), tiny_model(head, latent=3, shape=SHAPE).eval()
    with torch.no_grad():
        posterior = model.infer(all_of(data.test).x)
    quantities = {"mean": posterior.mean.double().numpy()}
    if head != "deterministic":
        quantities["variance"] = posterior.variance.double().numpy()
    spread = np.sort(quantities["mean"].var(axis=0, ddof=1))
    threshold = float(spread[:2].mean())  # one dimension below it, two above
    found = posterior_boxes(model, data, threshold=threshold)
    assert found.keys() == {*quantities, "active"}
    for name, values in quantities.items():
        quartiles = np.percentile(values, [25, 50, 75], axis=0)
        np.testing.assert_allclose(found[name][1:4], quartiles, rtol=1e-5)
        reach = 1.5 * (quartiles[2] - quartiles[0])
        for k in range(3):
            low, high = quartiles[0, k] - reach[k], quartiles[2, k] + reach[k]
            near = [value for value in values[:, k] if low <= value <= high]
            np.testing.assert_allclose(found[name][[0, 4], k], [min(near), max(near)], rtol=1e-5)
    active = quantities["mean"].var(axis=0, ddof=1) > threshold
    assert found["active"].tolist() == active.tolist() and active.sum() == 2
