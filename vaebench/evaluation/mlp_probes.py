"""Classifiers of two hidden layers on frozen codes, several trained at once (IGP, Section 4.2).

Shapes: P probes, N codes of size K, B of a batch, C classes.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from vaebench.data.dataset import Dataset, Split, TextSplit
from vaebench.data.draws import balanced, permutation
from vaebench.data.rewritten import thinned
from vaebench.errors import UserError
from vaebench.evaluation import Value, evaluator
from vaebench.evaluation.encoding import posterior_means
from vaebench.models.latent import LatentModel

_SEED = 0  # of parts, shares and the words that are left: that of the official code
_TRAINED, _FITTED = 0.8, 0.8


@evaluator
@torch.no_grad()
def dense_probes(
    model: nn.Module,
    data: Dataset,
    *,
    count: int,
    hidden: Sequence[int],
    epochs: int,
    batch_size: int,
    lr: float,
    keep: float,
) -> dict[str, Value]:
    """`accuracy` (percent): the mean over `count` classifiers, on means of the test split alone:
    they learn from one part of it and are tested on another, as in the official code.

    Of each sentence the share `keep` of its words is left, the same for all models; 1 is all. A
    model without codes has none.
    """
    if not isinstance(model, LatentModel):
        return {"accuracy": None}
    test = _with_classes(data.test, data, "dense_probes")
    seen = test if keep == 1 else thinned(test, keep, _SEED)
    codes = posterior_means(model, seen).float()
    learn, held = (index.to(codes.device) for index in parts(len(codes), _SEED))
    probes = Probes(count, codes.shape[1], hidden, data.info.classes).to(codes.device)
    labels, told = test.labels, orders(probes, len(learn), epochs)
    fit(probes, codes[learn], labels[learn], told, batch_size=batch_size, lr=lr)
    return {"accuracy": 100 * float(accuracies(probes, codes[held], labels[held]).mean())}


@evaluator
@torch.no_grad()
def few_shot_probes(
    model: LatentModel,
    data: Dataset,
    *,
    split: str,
    share: float,
    count: int,
    hidden: Sequence[int],
    epochs: int,
    batch_size: int,
    lr: float,
) -> dict[str, Value]:
    """`accuracy` (percent) as of `dense_probes`, of classifiers that learn from few means.

    With the `split` `train` they learn from a `share` of the training split and are tested on the
    whole test split; with `test` from a share of what `dense_probes` learn from, tested as these
    are, so a share of 1 is `dense_probes`. The same sentences for all models, as many of each
    class; the smaller shares are parts of the larger ones. IGP, Section 4.2.
    """
    if not 0 < share <= 1:
        raise UserError(f"few_shot_probes: share is {share!r}; expected one above 0, at most 1")
    train, test = (_with_classes(part, data, "few_shot_probes") for part in (data.train, data.test))
    codes, labels = posterior_means(model, test).float(), test.labels
    match split:
        case "train":
            few = train.some(_few(train.labels, share))
            seen, told = posterior_means(model, few).float(), few.labels
        case "test":
            learn, held = (index.to(codes.device) for index in parts(len(codes), _SEED))
            learn = learn[_few(labels[learn], share).to(codes.device)]
            seen, told, codes, labels = codes[learn], labels[learn], codes[held], labels[held]
        case _:
            raise UserError(f"few_shot_probes: split is {split!r}; expected train or test")
    probes = Probes(count, codes.shape[1], hidden, data.info.classes).to(codes.device)
    fit(probes, seen, told, orders(probes, len(seen), epochs), batch_size=batch_size, lr=lr)
    return {"accuracy": 100 * float(accuracies(probes, codes, labels).mean())}


def _with_classes(split: Split, data: Dataset, evaluator: str) -> TextSplit:
    if not isinstance(split, TextSplit) or data.info.classes < 2:
        raise UserError(f"{evaluator}: {data.info.name} has no sentences with classes")
    return split


def _few(labels: Tensor, share: float) -> Tensor:
    """Where a share of the data lies, one datum at least, as many of each class; on the CPU."""
    size = max(1, round(share * len(labels)))
    return torch.from_numpy(balanced(labels.cpu().numpy(), size, _SEED))


class Probes(nn.Module):
    """Dense layers of ReLUs of the sizes `hidden` and one of logits, of `count` classifiers."""

    def __init__(self, count: int, latent: int, hidden: Sequence[int], classes: int) -> None:
        super().__init__()
        sizes = [latent, *hidden, classes]
        pairs = list(pairwise(sizes))
        self.weights = nn.ParameterList([_glorot_uniform(count, *pair) for pair in pairs])
        self.biases = nn.ParameterList([torch.zeros(count, 1, wide) for _, wide in pairs])

    def forward(self, codes: Tensor) -> Tensor:
        """Codes [P, B, K] -> logits [P, B, C]."""
        h = codes
        for layer, parameters in enumerate(zip(self.weights, self.biases, strict=True)):
            weight, bias = parameters
            h = torch.baddbmm(bias, h.relu() if layer else h, weight)
        return h


def parts(size: int, seed: int) -> tuple[Tensor, Tensor]:
    """Which of so many codes probes learn from, and which they are tested on.

    The first 80 percent of a seeded order, and the last fifth of these left out, as the official
    code does for a validation whose outcome it does not use; the others are the test.
    """
    order = torch.from_numpy(permutation(size, seed))
    trained = int(_TRAINED * size)
    return order[: int(_FITTED * trained)], order[trained:]


def orders(probes: Probes, size: int, epochs: int) -> Iterable[Tensor]:
    """Of every epoch an order of the codes for every probe, [P, N] on the CPU."""
    count = len(probes.biases[0])
    return (torch.rand(count, size).argsort(1) for _ in range(epochs))


def fit(
    probes: Probes,
    codes: Tensor,
    labels: Tensor,
    orders: Iterable[Tensor],
    *,
    batch_size: int,
    lr: float,
) -> None:
    """Train every probe on codes [N, K] with `labels` [N] by Adam on its mean cross-entropy, an
    epoch an order [P, N]."""
    optimizer = torch.optim.Adam(probes.parameters(), lr=lr, eps=1e-7, fused=True)
    with torch.enable_grad():
        for order in orders:
            for index in torch.split(order.to(codes.device), batch_size, 1):
                logits = probes(codes[index]).flatten(0, 1)
                # A sum over probes, none of which sees the others' gradient.
                loss = cross_entropy(logits, labels[index].flatten(), reduction="sum")
                optimizer.zero_grad(set_to_none=True)
                (loss / index.shape[1]).backward()  # type: ignore[no-untyped-call]
                optimizer.step()


@torch.no_grad()
def accuracies(probes: Probes, codes: Tensor, labels: Tensor) -> Tensor:
    """The share of right answers by probe, [P] in float64."""
    count = len(probes.biases[0])
    answers: Tensor = probes(codes.expand(count, *codes.shape)).argmax(2)
    return (answers == labels).double().mean(1)


def _glorot_uniform(count: int, inputs: int, outputs: int) -> Tensor:
    bound = math.sqrt(6 / (inputs + outputs))
    return torch.empty(count, inputs, outputs).uniform_(-bound, bound)
