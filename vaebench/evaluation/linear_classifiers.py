"""Linear classifiers of codes of which few have labels, one a run and all trained at once: MAE,
Table 2.

Shapes: R runs, M batches of B codes, K latents and a one for the bias, C classes.
"""

from collections.abc import Iterable
from itertools import count
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot, pad

from vaebench.data.dataset import Dataset
from vaebench.data.draws import Index
from vaebench.errors import UserError
from vaebench.evaluation import Value, evaluator
from vaebench.evaluation.checks import check_learning, check_whole
from vaebench.evaluation.labelled_codes import (
    LabelledCodes,
    in_percent,
    label_order,
    labelled_codes,
)
from vaebench.evaluation.sentence_classifiers import initialised
from vaebench.models.latent import LatentModel

_FACTOR, _PATIENCE, _HALVINGS = 0.5, 3, 4


@evaluator
@torch.no_grad()
def linear_classifier(
    model: LatentModel,
    data: Dataset,
    *,
    labels: int | None,
    draws: int,
    runs: int,
    validation: int,
    batch_size: int,
    lr: float,
    interval: int,
) -> dict[str, Value]:
    """`accuracy` (percent) on the test codes of a softmax layer, and its population deviation over
    runs, `accuracy_std`, on the same codes and labels as `nearest_neighbours`.

    The last `validation` codes of a run's order are no part of these: by their labels, however many
    the others have, training is stopped as `fit` says. SGD on the summed cross-entropy, as torch
    initialises. MAE, Table 2.
    """
    name = "linear_classifier"
    check_learning(name, data, labels, draws)
    check_whole(name, 1, runs=runs, validation=validation, batch_size=batch_size, interval=interval)
    if validation >= len(data.train):
        raise UserError(
            f"{name}: validation is {validation}; the training split has {len(data.train)} examples"
        )
    train, test = (
        LabelledCodes(pad(codes, (0, 1), value=1.0), classes)
        for codes, classes in labelled_codes(model, data, draws)
    )
    orders = np.stack([label_order(len(train.classes), run) for run in range(runs)])
    others, held = orders[:, :-validation], orders[:, -validation:]
    batches = batched(train, others[:, :labels], batch_size, data.info.classes)
    rows, classes = train.codes.shape[1], data.info.classes
    weights = torch.stack([initialised(rows, classes, train.codes) for _ in range(runs)])
    shuffled = (torch.rand(batches.codes.shape[:2]).argsort(1) for _ in count())
    best = fit(weights, batches, train.take(held), shuffled, lr=lr, interval=interval)
    return in_percent(accuracies(best, test).tolist())


class Batches(NamedTuple):
    """`codes` [R, M, B, K + 1] and `classes` [R, M, B, C] of 0 and 1; the last batch of a run is
    filled up with zeros, by which no weight has a gradient."""

    codes: Tensor
    classes: Tensor


def batched(known: LabelledCodes, index: Index, batch_size: int, classes: int) -> Batches:
    """The codes at `index` [R, n] in batches of neighbours."""
    codes, targets = known.take(index)
    batches = -(-index.shape[1] // batch_size)
    rows = (0, 0, 0, batches * batch_size - index.shape[1])
    told = one_hot(targets, classes).to(codes)
    cut = (len(index), batches, batch_size, -1)
    return Batches(pad(codes, rows).view(cut), pad(told, rows).view(cut))


def fit(
    weights: Tensor,
    batches: Batches,
    validation: LabelledCodes,
    orders: Iterable[Tensor],
    *,
    lr: float,
    interval: int,
) -> Tensor:
    """Train weights [R, K + 1, C] in place by SGD on the summed cross-entropy, an epoch an order of
    each run's batches, [R, M]; those with the best accuracy on the run's validation codes.

    It is looked at after every `interval` steps. From the third time in a row on that it is no
    better, the rate is halved every time; the fourth halving in all ends a run (official code).
    """
    device, size = weights.device, len(weights)
    best, highest = weights.clone(), torch.full((size,), -1.0, dtype=torch.float64, device=device)
    failures, halvings = torch.zeros_like(highest), torch.zeros_like(highest)
    rates, runs = torch.full_like(weights[:, :1, :1], lr), torch.arange(size, device=device)
    steps = (place for order in orders for place in order.to(device).unbind(1))
    for step, place in enumerate(steps, 1):
        codes = batches.codes[runs, place]
        slopes = (codes @ weights).softmax(2).sub_(batches.classes[runs, place])
        weights -= rates * (codes.mT @ slopes)
        if step % interval:
            continue
        accuracy = accuracies(weights, validation)
        # A run that has ended is trained on with the others, and not looked at.
        better = (accuracy > highest) & (halvings < _HALVINGS)
        highest = torch.where(better, accuracy, highest)
        best[better] = weights[better]
        failures = torch.where(better, 0, failures + 1)
        failed = failures >= _PATIENCE
        rates[failed] *= _FACTOR
        halvings += failed
        if bool((halvings >= _HALVINGS).all()):
            break
    return best


def accuracies(weights: Tensor, known: LabelledCodes) -> Tensor:
    """The share of right answers by run, [R] in float64; of codes [R, N, K + 1], or [N, K + 1]."""
    return ((known.codes @ weights).argmax(2) == known.classes).double().mean(1)
