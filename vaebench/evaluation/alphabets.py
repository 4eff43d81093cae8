"""Linear classifiers of characters, one an alphabet and all trained at once: DU-VAE, Table 3.

Shapes: A alphabets, the largest first; C characters and N examples of the largest; F features and a
one for the bias. Padded characters have no probability, padded examples no loss.
"""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad
from torch.nn.utils.rnn import pad_sequence

from vaebench.data.dataset import Dataset, Split
from vaebench.errors import UserError
from vaebench.evaluation import Value, evaluator
from vaebench.evaluation.encoding import chunk_size
from vaebench.models.latent import LatentModel

_TEST_IMAGES = 5  # a character
_BETAS, _EPS = (0.9, 0.999), 1e-8


@evaluator
@torch.no_grad()
def alphabet_classifiers(
    model: LatentModel, data: Dataset, *, labels: int, epochs: int, batch_size: int, lr: float
) -> dict[str, Value]:
    """`accuracy` (percent): the mean over alphabets; `accuracy_weighted`: by their characters.

    A softmax layer an alphabet sees the posterior features of the first `labels` training images of
    each character, and is tested on five. A character with fewer is filled up with its own, drawn
    with replacement; one without any in either split is left out. Every image is binarised by one
    draw. Adam on the summed loss, as torch initialises, the last epoch counts.
    """
    if data.class_groups is None:
        raise UserError(
            f"alphabet_classifiers: {data.info.name} has no alphabets; "
            "omniglot, omniglot-derived and strokes-28x28 have"
        )
    classes = len(data.class_groups)
    counts = [torch.bincount(part.labels, minlength=classes) for part in (data.train, data.test)]
    characters = torch.nonzero(torch.minimum(*counts)).squeeze(1)
    members = _alphabets(data.class_groups[characters])
    train = _examples(_codes(model, data.train, characters, labels), members)
    test = _examples(_codes(model, data.test, characters, _TEST_IMAGES), members)
    classifiers = initialised(train.codes.shape[2], members >= 0, train.codes)
    orders = (shuffled(train) for _ in range(epochs))
    fit(classifiers, train, orders, batch_size=batch_size, lr=lr)
    accuracy = 100 * accuracies(classifiers, test)
    shares = (members >= 0).sum(1).double() / len(characters)
    return {
        "accuracy": float(accuracy.mean()),
        "accuracy_weighted": float((accuracy * shares).sum()),
    }


class Examples(NamedTuple):
    """`codes` [A, N, F + 1] and `targets` [A, N]; the first `sizes` [A] of each alphabet count."""

    codes: Tensor
    targets: Tensor
    sizes: Tensor

    @property
    def real(self) -> Tensor:
        """Which places are not padding, [A, N]."""
        return torch.arange(self.targets.shape[1], device=self.sizes.device) < self.sizes[:, None]


class Classifiers(NamedTuple):
    """`weights` [A, F + 1, C], changed in place, and `offsets` [A, 1, C]: -inf where there is no
    character, else 0."""

    weights: Tensor
    offsets: Tensor

    def logits(self, codes: Tensor) -> Tensor:
        """[n, N, F + 1] of the first n alphabets -> [n, N, C]."""
        some = slice(len(codes))
        return torch.baddbmm(self.offsets[some], codes, self.weights[some])


def initialised(rows: int, there: Tensor, like: Tensor) -> Classifiers:
    """Weights as torch's Linear draws them; `there` [A, C] are no padding."""
    alphabets, characters = there.shape
    weights = (2 * torch.rand(alphabets, rows, characters) - 1) / (rows - 1) ** 0.5
    offsets = torch.zeros(there.shape).masked_fill(~there.cpu(), -torch.inf).unsqueeze(1)
    return Classifiers(weights.to(like), offsets.to(like))


def shuffled(examples: Examples) -> Tensor:
    """An order of the examples of each alphabet, [A, N], with the padding behind."""
    keys = torch.rand(examples.targets.shape).to(examples.sizes.device)
    return keys.masked_fill(~examples.real, 2).argsort(1)


def fit(
    classifiers: Classifiers,
    examples: Examples,
    orders: Iterable[Tensor],
    *,
    batch_size: int,
    lr: float,
) -> None:
    """Train in place by Adam on the summed cross-entropy, an epoch an order.

    A batch of one is skipped. An alphabet with fewer batches sits out the rest of an epoch: those
    that still have one are the first.
    """
    weights, _ = classifiers
    sizes, real = examples.sizes, examples.real
    batches = sizes // batch_size + (sizes % batch_size > 1)
    active = [int((batches > i).sum()) for i in range(int(batches.max()))]
    mean, square = torch.zeros_like(weights), torch.zeros_like(weights)
    steps = torch.zeros(len(sizes), 1, 1, dtype=torch.float64, device=sizes.device)
    for order in orders:
        codes = examples.codes.gather(1, order.unsqueeze(2).expand_as(examples.codes))
        targets = examples.targets.gather(1, order)
        for i, n in enumerate(active):
            some = slice(n), slice(i * batch_size, (i + 1) * batch_size)
            gradient = _gradient(classifiers, codes[some], targets[some], real[some])
            steps[:n] += 1
            _adam(weights[:n], mean[:n], square[:n], gradient, steps[:n], lr)


def accuracies(classifiers: Classifiers, examples: Examples) -> Tensor:
    """The share of right answers by alphabet, [A] in float64."""
    right = (classifiers.logits(examples.codes).argmax(2) == examples.targets) & examples.real
    return right.sum(1).double() / examples.sizes


def first_images(labels: Tensor, classes: Tensor, count: int) -> Tensor:
    """Indices [classes, count] of the first examples of each of `classes`, in their order; one with
    fewer is filled up with draws from its own."""
    order = torch.argsort(labels, stable=True)
    sizes = torch.bincount(labels)
    starts, own = (sizes.cumsum(0) - sizes)[classes], sizes[classes].unsqueeze(1)
    drawn = torch.rand(len(classes), count, dtype=torch.float64).to(labels.device) * own
    places = torch.arange(count, device=labels.device).expand(len(classes), count)
    return order[starts.unsqueeze(1) + torch.where(places < own, places, drawn.long())]


def _alphabets(groups: Tensor) -> Tensor:
    """The places of each group's members, [A, C], the largest first, padded with -1."""
    found = sorted(set(groups.tolist()))
    members = [torch.nonzero(groups == group).squeeze(1) for group in found]
    members.sort(key=len, reverse=True)
    return pad_sequence(members, batch_first=True, padding_value=-1)


def _codes(model: LatentModel, split: Split, characters: Tensor, count: int) -> Tensor:
    """Features of `count` images of each character, and a one: [characters, count, F + 1]."""
    index = first_images(split.labels, characters, count)
    images = torch.bernoulli(split.take(index.flatten()).x)  # at once, whatever the chunks
    parts = torch.split(images, chunk_size(images.shape[1:]))
    features = torch.cat([model.infer(part).features for part in parts])
    codes = pad(features, (0, 1), value=1.0)
    return codes.view(*index.shape, codes.shape[1])


def _examples(codes: Tensor, members: Tensor) -> Examples:
    """From codes [characters, count, F + 1], with the place in the alphabet as the target."""
    count = codes.shape[1]
    places = torch.arange(members.shape[1], device=members.device).repeat_interleave(count)
    return Examples(
        codes=codes[members].flatten(1, 2),  # -1 takes another's codes, which do not count
        targets=places.repeat(len(members), 1),
        sizes=(members >= 0).sum(1) * count,
    )


def _gradient(classifiers: Classifiers, codes: Tensor, targets: Tensor, real: Tensor) -> Tensor:
    """Of the summed cross-entropy of some alphabets' batches by their weights, [n, F + 1, C]."""
    slopes = classifiers.logits(codes).softmax(2)
    slopes.scatter_add_(2, targets.unsqueeze(2), torch.full_like(slopes[:, :, :1], -1))
    return codes.mT @ slopes.mul_(real.unsqueeze(2))


def _adam(
    weights: Tensor, mean: Tensor, square: Tensor, gradient: Tensor, steps: Tensor, lr: float
) -> None:
    """One step in place, as torch.optim.Adam's; `steps` [n, 1, 1] count it."""
    mean.lerp_(gradient, 1 - _BETAS[0])
    square.mul_(_BETAS[1]).addcmul_(gradient, gradient, value=1 - _BETAS[1])
    rate = (lr / (1 - _BETAS[0] ** steps)).to(weights)
    root = ((1 - _BETAS[1] ** steps) ** 0.5).to(weights)
    weights.sub_(rate * mean / square.sqrt().div_(root).add_(_EPS))
