"""Codes with their classes, and the few whose classes a classifier is told: MAE, Tables 2 and 5."""

from collections.abc import Sequence
from statistics import fmean, pstdev
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaebench.data.dataset import Dataset, Split
from vaebench.data.draws import Index, permutation
from vaebench.evaluation import Value
from vaebench.evaluation.encoding import sampled_features
from vaebench.models.latent import LatentModel

LABELS_SEED = 65_537  # of the first run, one for all models and classifiers


class Arrays(NamedTuple):
    """`codes` [N, K] in float64 and their `classes` [N], as scikit-learn takes them."""

    codes: NDArray[np.float64]
    classes: NDArray[np.int64]

    def take(self, index: Index) -> "Arrays":
        """Those at `index`."""
        return Arrays(self.codes[index], self.classes[index])


class LabelledCodes(NamedTuple):
    """`codes` [N, K], float32, and their `classes` [N]."""

    codes: Tensor
    classes: Tensor

    def take(self, index: Index) -> "LabelledCodes":
        """Those at `index`."""
        here = torch.from_numpy(index).to(self.classes.device)
        return LabelledCodes(self.codes[here], self.classes[here])

    @property
    def arrays(self) -> Arrays:
        """The same on the CPU."""
        return Arrays(self.codes.double().cpu().numpy(), self.classes.cpu().numpy())


def labelled_codes(model: LatentModel, data: Dataset, draws: int) -> list[LabelledCodes]:
    """The `sampled_features` of the training and of the test split, float32."""

    def codes(split: Split) -> LabelledCodes:
        return LabelledCodes(sampled_features(model, split, draws).float(), split.labels)

    return [codes(data.train), codes(data.test)]


def label_order(size: int, run: int) -> Index:
    """An order of so many codes: the first n are those that have a label in this run.

    So a smaller set is part of a larger one, and all classifiers learn from the same.
    """
    return permutation(size, LABELS_SEED + run)


def in_percent(shares: Sequence[float]) -> dict[str, Value]:
    """`accuracy` and `accuracy_std`: the mean and the population deviation over runs."""
    found = [100 * share for share in shares]
    return {"accuracy": fmean(found), "accuracy_std": pstdev(found)}
