"""A small language for tests: sentences of two classes, and a model of it made by hand."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from vaebench.data.dataset import DataInfo, Dataset, TextSplit
from vaebench.data.tokenizers import BOS, EOS, PAD, SPECIALS, Words
from vaebench.models.heads import GaussianHead
from vaebench.models.latent import LatentModel
from vaebench.models.priors import StandardGaussian

WORDS = Words((*SPECIALS, "ant", "bee", "cat", "dog", "eel", "fox"))
LONGEST = 9


def sentences(size: int, seed: int = 0) -> TextSplit:
    """Of one to seven words, four of five from the half of the vocabulary that is the class's."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randperm(size, generator=generator) % 2
    lengths = torch.randint(3, LONGEST + 1, (size,), generator=generator)
    tokens = []
    for label, length in zip(labels.tolist(), lengths.tolist(), strict=True):
        own = torch.rand(length - 2, generator=generator) < 0.8
        half = torch.where(own, label, 1 - label)
        words = len(SPECIALS) + 3 * half + torch.randint(3, (length - 2,), generator=generator)
        tokens += [BOS, *words.tolist(), EOS]
    return TextSplit(torch.tensor(tokens, dtype=torch.int32), lengths, labels)


def text_dataset(train: int = 61, test: int = 37) -> Dataset:
    info = DataInfo(
        "animals", "stand-in", (), 2, train, test, 19, vocabulary=WORDS.size, longest=LONGEST
    )
    return Dataset(
        train=sentences(train, 0),
        test=sentences(test, 1),
        info=info,
        sha256="0" * 64,
        validation=sentences(19, 2),
        tokenizer=WORDS,
    )


class Bag(nn.Module):
    """The mean embedding of a sentence's words, <s> and </s> among them."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(WORDS.size, features)

    def forward(self, x: Tensor) -> Tensor:
        there = (x != PAD).unsqueeze(2)
        mean: Tensor = (self.embedding(x) * there).sum(1) / there.sum(1)
        return mean


class Codes(NamedTuple):
    """The state of a chain: it remembers nothing but z [N, K]."""

    z: Tensor

    def select(self, rows: Tensor) -> "Codes":
        return Codes(self.z[rows])


class Chain(nn.Module):
    """What follows a word depends on it and on z: logits `follow[word] + z shift`; <pad> and <s>
    never follow. `rows` is how many sentences every step of the last decoding advanced."""

    def __init__(self, follow: Tensor, shift: Tensor) -> None:
        super().__init__()
        follow = follow.clone()
        follow[:, [PAD, BOS]] = -torch.inf
        self.follow, self.shift = nn.Parameter(follow), nn.Parameter(shift)
        self.rows: list[int] = []

    @classmethod
    def random(cls, vocabulary: int, latent: int, seed: int = 0) -> "Chain":
        generator = torch.Generator().manual_seed(seed)
        follow = torch.randn(vocabulary, vocabulary, generator=generator)
        return cls(follow, torch.randn(latent, vocabulary, generator=generator))

    def start(self, z: Tensor) -> Codes:
        self.rows = []
        return Codes(z)

    def advance(self, tokens: Tensor, state: Codes) -> tuple[Tensor, Codes]:
        self.rows.append(len(tokens))
        return self.follow[tokens] + state.z @ self.shift, state


def text_model(latent: int = 3, seed: int = 0) -> LatentModel:
    torch.manual_seed(seed)
    head = GaussianHead(4, latent, isotropic=False)
    return LatentModel(Bag(4), head, StandardGaussian(latent), Chain.random(WORDS.size, latent))
