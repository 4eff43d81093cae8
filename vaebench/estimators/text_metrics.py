"""How near sentences are to others, and how likely they are: BLEU, ROUGE and perplexity.

A candidate has one reference. Shapes: N sentences of each, of up to T words, M distinct n-grams.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

_ABOVE_ZERO = 1e-8


class Sentences(NamedTuple):
    """`words` int64 [N, T], of which in each row the first `lengths` [N] count."""

    words: Tensor
    lengths: Tensor


class Counts(NamedTuple):
    """How often an n-gram is `in_candidate` and `in_reference` [M] of its `sentence` [M].

    The same words in another sentence are another n-gram.
    """

    in_candidate: Tensor
    in_reference: Tensor
    sentence: Tensor


class Overlap(NamedTuple):
    """What `bleu` and `rouge` ask: the numbers of words [N], and the counts of single words, of
    pairs and so on."""

    candidate_lengths: Tensor
    reference_lengths: Tensor
    counts: list[Counts]


def overlap(candidates: Sentences, references: Sentences, most: int) -> Overlap:
    """Counts of n-grams of up to `most` words."""
    counts = list(_counts(candidates, references, most))
    return Overlap(candidates.lengths, references.lengths, counts)


def bleu(found: Overlap, most: int) -> float:
    """BLEU in percent, of n-grams of up to `most` words weighted alike (Papineni et al., 2002).

    Of the whole corpus and without smoothing, as `corpus_bleu` of NLTK: there a candidate that is
    too short for an n-gram counts as one that is wrong.
    """
    length, wanted = (int(lengths.sum()) for lengths in found[:2])
    logarithms = 0.0
    for n, counts in enumerate(found.counts[:most], 1):
        right = int(torch.minimum(counts.in_candidate, counts.in_reference).sum())
        if right == 0:
            return 0.0
        said = int((found.candidate_lengths - n + 1).clamp(min=1).sum())
        logarithms += math.log(right / said) / most
    return 100 * math.exp(logarithms + min(0.0, 1 - wanted / length))


def rouge(found: Overlap, n: int) -> float:
    """ROUGE-n in percent: the mean over sentences of the F1 of their sets of n-grams.

    As in the official code of IGP: an n-gram that is repeated counts once, and a sentence that is
    too short for one has no score, which is zero.
    """
    counts = found.counts[n - 1]
    said, wanted = counts.in_candidate > 0, counts.in_reference > 0
    size = len(found.candidate_lengths)
    shared, of_candidate, of_reference = (
        torch.bincount(counts.sentence[kept], minlength=size).double()
        for kept in (said & wanted, said, wanted)
    )
    precision = shared / of_candidate.clamp(min=1)
    recall = shared / of_reference.clamp(min=1)
    scores = 2 * precision * recall / (precision + recall + _ABOVE_ZERO)
    return 100 * float(scores.mean())


def mean_perplexity(log_likelihoods: Tensor, terms: Tensor) -> float:
    """The mean over sentences of exp(-log p / terms), both [N], in nats: IGP's, in which a few
    unlikely sentences weigh most."""
    return float((-log_likelihoods.double() / terms).exp().mean())


def corpus_perplexity(log_likelihoods: Tensor, terms: Tensor) -> float:
    """exp(-sum of log p / sum of terms), both [N], in nats."""
    return math.exp(-float(log_likelihoods.double().sum()) / int(terms.sum()))


def _counts(candidates: Sentences, references: Sentences, most: int) -> Iterator[Counts]:
    """All at once: an n-gram is known by the number of its first n - 1 words, which says in which
    sentence they are, and its last."""
    size = len(candidates.lengths)
    longest = max(part.words.shape[1] for part in (candidates, references))
    both = candidates, references
    words = torch.cat([pad(part.words, (0, longest - part.words.shape[1])) for part in both])
    lengths = torch.cat([part.lengths for part in both])
    steps = torch.arange(longest, device=words.device)
    rows = torch.arange(2 * size, device=words.device)
    vocabulary = int(words.max()) + 1
    known = (rows % size)[:, None].expand_as(words)
    for n in range(1, most + 1):
        last, there = words[:, n - 1 :], steps[n - 1 :] < lengths[:, None]
        known = known[:, : last.shape[1]] * vocabulary + last
        distinct, places = torch.unique(known[there], return_inverse=True)
        known = torch.zeros_like(known).masked_scatter(there, places)
        row = rows[:, None].expand_as(there)[there]
        said = row < size
        sentence = places.new_empty(len(distinct)).scatter_(0, places, row % size)
        yield Counts(
            torch.bincount(places[said], minlength=len(distinct)),
            torch.bincount(places[~said], minlength=len(distinct)),
            sentence,
        )
