"""Nearest neighbours and support vector machines on codes of which few have labels: MAE, Tables 2
and 5."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from vaebench.data.dataset import Dataset
from vaebench.errors import UserError
from vaebench.evaluation import Value, evaluator
from vaebench.evaluation.checks import check_learning, check_whole
from vaebench.evaluation.labelled_codes import in_percent, label_order, labelled_codes
from vaebench.models.latent import LatentModel

_CACHE = 1_000  # MB for the kernel of a support vector machine


@evaluator
@torch.no_grad()
def nearest_neighbours(
    model: LatentModel,
    data: Dataset,
    *,
    labels: int | None,
    draws: int,
    runs: int,
    neighbours: int,
) -> dict[str, Value]:
    """`accuracy` (percent) on the test codes of the vote of so many nearest `neighbours`, weighted
    by one over the Euclidean distance, and its population deviation over runs, `accuracy_std`.

    In every run other training codes have one of the `labels`, None for all: the first of
    `label_order`, so of all classes alike in expectation alone. A code is the mean of so many
    `draws`, or with 0 the posterior's. MAE, Table 2.
    """
    from sklearn.neighbors import KNeighborsClassifier

    check_learning("nearest_neighbours", data, labels, draws)
    check_whole("nearest_neighbours", 1, runs=runs, neighbours=neighbours)
    known = min(len(data.train), labels or len(data.train))
    if neighbours > known:
        raise UserError(f"nearest_neighbours: {neighbours} neighbours among {known} labels")

    def voters(latent: int) -> Any:
        return KNeighborsClassifier(
            neighbours, weights="distance", algorithm="brute", metric="minkowski", p=2
        )

    return _accuracies(voters, "nearest_neighbours", model, data, labels, draws, runs)


@evaluator
@torch.no_grad()
def support_vectors(
    model: LatentModel,
    data: Dataset,
    *,
    kernel: str,
    labels: int | None,
    draws: int,
    runs: int,
) -> dict[str, Value]:
    """`accuracy` (percent) on the test codes, and its population deviation over runs,
    `accuracy_std`, of support vector machines with the `kernel` `linear` or `rbf`, one a pair of
    classes, on the same codes and labels as `nearest_neighbours`; C = 1.

    The radial kernel is exp(-|z - z'|^2 / K): 1 / K was the default of scikit-learn in 2018. The
    time grows with the square of the labels: all of MNIST take minutes. MAE, Table 5.
    """
    from sklearn.svm import SVC

    if kernel not in ("linear", "rbf"):
        raise UserError(f"support_vectors: kernel is {kernel!r}; expected linear or rbf")
    check_learning("support_vectors", data, labels, draws)
    check_whole("support_vectors", 1, runs=runs)

    def machines(latent: int) -> Any:
        return SVC(
            C=1.0, kernel=kernel, gamma=1 / latent, shrinking=True, tol=1e-3, cache_size=_CACHE
        )

    return _accuracies(machines, "support_vectors", model, data, labels, draws, runs)


def _accuracies(
    classifier: Callable[[int], Any],
    evaluator: str,
    model: LatentModel,
    data: Dataset,
    labels: int | None,
    draws: int,
    runs: int,
) -> dict[str, Value]:
    """Of what `classifier` makes for codes of a size, learning from so many labels a run."""
    train, test = (part.arrays for part in labelled_codes(model, data, draws))
    size = len(train.classes)
    # With all labels every run is the same.
    distinct = runs if labels is not None and labels < size else 1
    shares = []
    for run in range(distinct):
        known = train.take(np.sort(label_order(size, run)[:labels]))
        if len(np.unique(known.classes)) < 2:
            raise UserError(f"{evaluator}: run {run} draws {labels} labels of one class alone")
        fitted = classifier(train.codes.shape[1]).fit(*known)
        shares.append(float((fitted.predict(test.codes) == test.classes).mean()))
    return in_percent(shares)
