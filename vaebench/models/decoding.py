"""Sentences from p(x|z): the likeliest words one by one, the likeliest found by a beam, or draws.

Shapes: N codes, K latent size, V ids, W beam width, T the longest of the sentences found. These
are ids int64 [N, T] after <s>: </s> is their last, unless they were cut, then comes padding.
Neither padding nor <s> is a word.
"""

from collections.abc import Callable
from typing import Protocol, Self, runtime_checkable

import torch
from torch import Tensor

from vaebench.data.tokenizers import BOS, EOS, PAD


class State(Protocol):
    """What a decoder remembers of N sentences."""

    def select(self, rows: Tensor) -> Self:
        """Copies of these rows, int64 [M]."""
        ...


@runtime_checkable
class WordDecoder(Protocol):
    """A decoder that gives a sentence word by word."""

    def start(self, z: Tensor) -> State:
        """Before <s>, from codes [N, K]."""
        ...

    def advance(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """The logits [N, V] of what follows the last words, ids [N]."""
        ...


def greedy(decoder: WordDecoder, z: Tensor, longest: int) -> Tensor:
    """The likeliest word after what is there, until </s> or `longest` words."""
    return _walk(decoder, z, longest, lambda logits: logits.argmax(1))


def sampled(decoder: WordDecoder, z: Tensor, longest: int) -> Tensor:
    """A draw from p(x|z), cut after `longest` words."""

    def draw(logits: Tensor) -> Tensor:
        return torch.multinomial(logits.softmax(1), 1).squeeze(1)

    return _walk(decoder, z, longest, draw)


def word_counts(found: Tensor) -> Tensor:
    """How many words each of the sentences [N, T] has, without </s>: [N]."""
    return ((found != PAD) & (found != EOS)).sum(1)


def _walk(
    decoder: WordDecoder, z: Tensor, longest: int, choose: Callable[[Tensor], Tensor]
) -> Tensor:
    """One word at a time; a finished sentence costs nothing more."""
    going = torch.arange(len(z), device=z.device)
    words, state = torch.full_like(going, BOS), decoder.start(z)
    found = []
    for _ in range(longest):
        logits, state = _next(decoder, words, state)
        words = choose(logits)
        step = going.new_full((len(z),), PAD)
        step[going] = words
        found.append(step)
        left = torch.nonzero(words != EOS).squeeze(1)
        if len(left) == 0:
            break
        if len(left) < len(words):
            going, words, state = going[left], words[left], state.select(left)
    return torch.stack(found, 1)


def _next(decoder: WordDecoder, words: Tensor, state: State) -> tuple[Tensor, State]:
    """The logits of what may follow the last words."""
    logits, state = decoder.advance(words, state)
    no_words = torch.tensor((PAD, BOS), device=logits.device)
    return logits.index_fill(1, no_words, -torch.inf), state


def beam(decoder: WordDecoder, z: Tensor, longest: int, width: int) -> Tensor:
    """The likeliest sentence that a beam of W finds, of at most `longest` words.

    A finished sentence keeps its place in the beam. No other can overtake it once it leads, for a
    probability only falls with every word, so that a code is done with then.
    """
    going = torch.arange(len(z), device=z.device)
    found = going.new_full((len(z), longest), PAD)
    beams = going.new_empty((len(z), width, 0))
    words = going.new_full((len(z), width), BOS)
    scores = torch.full((len(z), width), -torch.inf, device=z.device)
    scores[:, 0] = 0  # all beams of a code are one at first
    state = decoder.start(z.repeat_interleave(width, 0))
    for length in range(1, longest + 1):
        logits, state = _next(decoder, words.flatten(), state)
        steps = logits.float().log_softmax(1).view(*words.shape, -1)
        ended = (words == EOS) | (words == PAD)
        steps = steps.masked_fill(ended.unsqueeze(2), -torch.inf)
        steps[..., PAD] = torch.where(ended, 0.0, steps[..., PAD])
        scores, places = (scores.unsqueeze(2) + steps).flatten(1).topk(width, 1)
        parents, words = places // logits.shape[1], places % logits.shape[1]
        beams = beams.gather(1, parents.unsqueeze(2).expand(-1, -1, length - 1))
        beams = torch.cat([beams, words.unsqueeze(2)], 2)
        found[going, :length] = beams[:, 0]
        left = torch.nonzero((words[:, 0] != EOS) & (words[:, 0] != PAD)).squeeze(1)
        if len(left) == 0:
            return found[:, :length]
        rows = torch.arange(len(going), device=z.device).unsqueeze(1) * width + parents
        state = state.select(rows[left].flatten())
        going, beams, words, scores = going[left], beams[left], words[left], scores[left]
    return found
