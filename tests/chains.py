"""Decoders of sentences that are made by hand."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from vaebench.data.tokenizers import BOS, PAD


class Codes(NamedTuple):
    """The state of a chain: it remembers nothing but z [N, K]."""

    z: Tensor

    def select(self, rows: Tensor) -> "Codes":
        return Codes(self.z[rows])


class Chain(nn.Module):
    """What follows a word depends on it and on z: logits `follow[word] + z shift`. `rows` is how
    many sentences every step of the last decoding advanced."""

    def __init__(self, follow: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.follow, self.shift = nn.Parameter(follow), nn.Parameter(shift)
        self.rows: list[int] = []

    @classmethod
    def random(cls, vocabulary: int, latent: int, seed: int = 0) -> "Chain":
        generator = torch.Generator().manual_seed(seed)
        follow = torch.randn(vocabulary, vocabulary, generator=generator)
        follow[:, [PAD, BOS]] = -torch.inf
        return cls(follow, torch.randn(latent, vocabulary, generator=generator))

    def start(self, z: Tensor) -> Codes:
        self.rows = []
        return Codes(z)

    def advance(self, tokens: Tensor, state: Codes) -> tuple[Tensor, Codes]:
        self.rows.append(len(tokens))
        return self.follow[tokens] + state.z @ self.shift, state
