"""Models of sentences whose answers are known: what they read they say again, or something else."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from vaebench.data.tokenizers import EOS
from vaebench.models.latent import LatentModel
from vaebench.models.posteriors import DeltaPosterior
from vaebench.models.priors import StandardGaussian

WIDTH = 12


class Place(NamedTuple):
    """What is to be said [N, WIDTH], and how much of it was."""

    ids: Tensor
    step: int

    def select(self, rows: Tensor) -> "Place":
        return Place(self.ids[rows], self.step)


class Reader(nn.Module):
    """The code of a sentence is what follows its <s>. `shown` keeps the batches that were read."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        self.shown.append(x)
        return nn.functional.pad(x[:, 1:], (0, WIDTH + 1 - x.shape[1])).float()


class Code(nn.Module):
    def forward(self, h: Tensor) -> DeltaPosterior:
        return DeltaPosterior(h)


class Speaker(nn.Module):
    """Says what `says` makes of the ids in a code, [N, WIDTH] to [N, WIDTH]."""

    def __init__(self, vocabulary: int, says: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.vocabulary, self.says = vocabulary, says

    def start(self, z: Tensor) -> Place:
        return Place(self.says(z.long()), 0)

    def advance(self, tokens: Tensor, place: Place) -> tuple[Tensor, Place]:
        ids = place.ids[:, place.step]
        logits = nn.functional.one_hot(ids, self.vocabulary).float()
        return logits, place._replace(step=place.step + 1)


def parrot(vocabulary: int, says: Callable[[Tensor], Tensor] = lambda ids: ids) -> LatentModel:
    """A model whose reconstructions are `says` of the sentences, up to WIDTH words."""
    speaker = Speaker(vocabulary, says)
    return LatentModel(Reader(), Code(), StandardGaussian(WIDTH), speaker).eval()


def mumbled(ids: Tensor) -> Tensor:
    """Every other sentence without its last word, and in every third the word 4 for 5 and 6."""
    rows, ends = torch.arange(len(ids)), (ids == EOS).int().argmax(1)
    changed = ids.clone()
    shortened = (ids[:, 0] + ends) % 2 == 0
    changed[rows[shortened], (ends[shortened] - 1).clamp(min=0)] = EOS
    replaced = (ids[:, 0] + ends) % 3 == 0
    return torch.where(replaced[:, None] & ((ids == 5) | (ids == 6)), 4, changed)


def never_ends(ids: Tensor) -> Tensor:
    """One word for ever."""
    return torch.full_like(ids, 4)
