"""How well clusters of codes are classes of the data: MAE, Table 2."""

from statistics import fmean

import numpy as np
import torch
from numpy.typing import NDArray

from vaebench.data.dataset import Dataset
from vaebench.errors import UserError
from vaebench.evaluation import Value, evaluator
from vaebench.evaluation.checks import check_learning, check_whole
from vaebench.evaluation.labelled_codes import Arrays, in_percent, labelled_codes
from vaebench.models.latent import LatentModel


@evaluator
@torch.no_grad()
def kmeans(
    model: LatentModel, data: Dataset, *, clusters: int, draws: int, restarts: int
) -> dict[str, Value]:
    """The accuracy (percent) on test codes of the class of the cluster whose centre is nearest, by
    k-means on all training codes: the mean over the seeds 0, 1, … restarts - 1.

    A cluster's class is that of most of its training codes in `accuracy` (official code), whose
    population deviation is `accuracy_std`, and that of the training code nearest to its centre in
    `accuracy_nearest` (MAE, Section 4.1.2). A code is the mean of so many `draws`, or with 0 the
    posterior's.
    """
    from sklearn.cluster import KMeans

    check_whole("kmeans", 1, clusters=clusters, restarts=restarts)
    check_learning("kmeans", data, None, draws)
    if clusters > len(data.train):
        raise UserError(f"kmeans: {clusters} clusters of {len(data.train)} training examples")
    train, test = (part.arrays for part in labelled_codes(model, data, draws))
    by_majority, by_nearest = [], []
    for seed in range(restarts):
        fitted = KMeans(
            clusters,
            init="k-means++",
            n_init=10,
            max_iter=300,
            tol=1e-4,
            random_state=seed,
            algorithm="lloyd",
        ).fit(train.codes)
        members = fitted.predict(test.codes)
        classes = majorities(fitted.labels_, train.classes, clusters, data.info.classes)
        by_majority.append(float((classes[members] == test.classes).mean()))
        classes = classes_of_nearest(fitted.cluster_centers_, train)
        by_nearest.append(float((classes[members] == test.classes).mean()))
    return {**in_percent(by_majority), "accuracy_nearest": 100 * fmean(by_nearest)}


def majorities(
    members: NDArray[np.integer], classes: NDArray[np.int64], clusters: int, count: int
) -> NDArray[np.int64]:
    """The commonest of `count` classes in every cluster, the smallest of equals, [clusters]; of N
    codes in the clusters `members`."""
    pairs = np.bincount(count * members + classes, minlength=clusters * count)
    commonest: NDArray[np.int64] = pairs.reshape(clusters, count).argmax(1)
    return commonest


def classes_of_nearest(centres: NDArray[np.float64], train: Arrays) -> NDArray[np.int64]:
    """The class of the code that is nearest to each centre, [clusters]."""
    nearest = [np.square(train.codes - centre).sum(1).argmin() for centre in centres]
    return train.take(np.array(nearest)).classes
