"""Linear classifiers of sentences on frozen codes, from few labels to many: DU-VAE, Tables 2, S2.

Shapes: N sentences, F features and a one for the bias, C classes.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, one_hot, pad

from vaebench.data.dataset import Dataset, TextSplit
from vaebench.data.draws import drawn
from vaebench.errors import UserError
from vaebench.evaluation import Value, evaluator
from vaebench.evaluation.encoding import posterior_features
from vaebench.models.latent import LatentModel

LABELS_SEED = 783_435  # one for all models, so that all learn from the same sentences
_CLIP = 5.0
_FACTOR, _PATIENCE, _DECAYS = 0.5, 2, 5


@evaluator
@torch.no_grad()
def sentence_classifiers(
    model: LatentModel,
    data: Dataset,
    *,
    labels: Sequence[int],
    epochs: int,
    batch_size: int,
    lr: float,
) -> dict[str, Value]:
    """`accuracy_100` (percent) for 100 of `labels`: of a softmax layer on posterior features that
    has learnt from so many training sentences, or all there are: a fixed draw, where the larger has
    the smaller.

    SGD as torch initialises, at most `epochs`, with the decays of `fit`; the accuracy on the test
    set at the lowest loss on all validation sentences.
    """
    train, validation = data.train, data.validation
    if not isinstance(train, TextSplit) or data.info.classes < 2:
        raise UserError(f"sentence_classifiers: {data.info.name} has no sentences with classes")
    if validation is None:
        raise UserError(f"sentence_classifiers: {data.info.name} has no validation sentences")
    most = min(max(labels), len(train))
    subset = drawn(len(train), most, LABELS_SEED)  # no sentence is encoded that is not needed
    split = train.some(torch.from_numpy(subset))
    held_out, test, known = (
        Codes(pad(posterior_features(model, part), (0, 1), value=1.0), part.labels)
        for part in (validation, data.test, split)
    )
    found: dict[str, Value] = {}
    for count in labels:
        index = np.searchsorted(subset, drawn(len(train), count, LABELS_SEED))
        places = torch.from_numpy(index)
        buckets = [places[bucket] for bucket in split.some(places).buckets(batch_size)]
        batches = [known.take(bucket) for bucket in buckets if len(bucket) > 1]
        weights = initialised(known.features.shape[1], data.info.classes, known.features)
        orders = (torch.randperm(len(batches)).tolist() for _ in range(epochs))
        best = fit(weights, batches, held_out, orders, lr)
        found[f"accuracy_{count}"] = 100 * accuracy(best, test)
    return found


class Codes(NamedTuple):
    """`features` [N, F + 1] of sentences and their `targets` [N]."""

    features: Tensor
    targets: Tensor

    def take(self, index: Tensor) -> "Codes":
        """Those at `index`, on any device."""
        here = index.to(self.targets.device)
        return Codes(self.features[here], self.targets[here])


def initialised(rows: int, classes: int, like: Tensor) -> Tensor:
    """Weights [F + 1, C] as torch's Linear draws them, the biases last."""
    weights: Tensor = (2 * torch.rand(rows, classes) - 1) / (rows - 1) ** 0.5
    return weights.to(like)


def fit(
    weights: Tensor,
    batches: Sequence[Codes],
    validation: Codes,
    orders: Iterable[Sequence[int]],
    lr: float,
) -> Tensor:
    """Train by SGD on the mean cross-entropy, an epoch an order of the batches; the weights with
    the lowest validation loss. `weights` are changed in place.

    The gradient is clipped to norm 5. After two epochs in a row above the reference, the lowest
    loss since the last decay or that of its own epoch, the rate is halved and the best weights
    return; the fifth decay ends it (official code).
    """
    steps = [_Step.of(batch, weights.shape[1]) for batch in batches]
    best, lowest, reference = weights.clone(), float("inf"), float("inf")
    waited = decays = 0
    for order in orders:
        for i in order:
            steps[i].apply(weights, lr)
        loss = float(cross_entropy(validation.features @ weights, validation.targets))
        if loss < lowest:
            best, lowest = weights.clone(), loss
        waited = 0 if loss <= reference else waited + 1
        if waited == 0 or waited == _PATIENCE:
            reference = loss
        if waited == _PATIENCE:
            waited, decays, lr = 0, decays + 1, lr * _FACTOR
            weights.copy_(best)
        if decays == _DECAYS:
            break
    return best


def accuracy(weights: Tensor, codes: Codes) -> float:
    """The share of right answers."""
    right = (codes.features @ weights).argmax(1) == codes.targets
    return float(right.double().mean())


class _Step(NamedTuple):
    """What a batch of B gives to every epoch: its features [B, F + 1], these transposed and divided
    by B, and its classes as [B, C] of 0 and 1."""

    features: Tensor
    shares: Tensor
    classes: Tensor

    @classmethod
    def of(cls, batch: Codes, classes: int) -> "_Step":
        features, targets = batch
        shares = (features.mT / len(targets)).contiguous()
        return cls(features, shares, one_hot(targets, classes).to(features))

    def apply(self, weights: Tensor, lr: float) -> None:
        """Change the weights in place by their clipped gradient."""
        slopes = (self.features @ weights).softmax(1).sub_(self.classes)
        gradient = self.shares @ slopes
        clipped = (_CLIP / (gradient.norm() + 1e-6)).clamp_max_(1.0)  # as torch's clip_grad_norm_
        weights.addcmul_(gradient, clipped, value=-lr)
