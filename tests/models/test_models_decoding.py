"""Decoding on Markov chains, whose sentences and their probabilities can all be counted up."""

import math
from itertools import pairwise, product

import pytest
import torch
from chains import Chain, Codes

from vaebench.data.tokenizers import BOS, EOS, PAD, UNK
from vaebench.models import decoding

V, LATENT, LONGEST = 6, 2, 4
AFTER = (EOS, UNK, 4, 5)  # what may follow


def chain(seed=0):
    return Chain.random(V, LATENT, seed).requires_grad_(False)


def codes(count, seed=1):
    return torch.randn(count, LATENT, generator=torch.Generator().manual_seed(seed))


def every_sentence(longest=LONGEST):
    """All sentences that end, and all that are cut."""
    for length in range(longest):
        for words in product(AFTER[1:], repeat=length):
            yield (*words, EOS)
    yield from product(AFTER[1:], repeat=longest)


def scorer(model, z):
    """log p of any sentence from one code."""
    steps = (model.follow + z @ model.shift).log_softmax(1).tolist()
    return lambda sentence: sum(steps[a][b] for a, b in pairwise((BOS, *sentence)))


def plain(found):
    """Sentences without their padding; nothing else follows it."""
    sentences = []
    for row in found.tolist():
        words = tuple(word for word in row if word != PAD)
        assert row == [*words, *[PAD] * (len(row) - len(words))]
        assert EOS not in words[:-1]
        sentences.append(words)
    return sentences


@pytest.mark.parametrize("seed", range(4))
def test_a_beam_as_wide_as_the_language_finds_the_likeliest_sentence(seed):
    model, z = chain(seed), codes(7)
    everything = list(every_sentence())
    found = plain(decoding.beam(model, z, LONGEST, width=len(AFTER) ** LONGEST))
    for code, sentence in zip(z, found, strict=True):
        assert sentence == max(everything, key=scorer(model, code))


def test_a_beam_finds_what_looks_worse_at_first():
    """After word 4 (0.6) five things are equally likely, after word 5 (0.4) the end is certain."""
    follow = torch.full((V, V), -torch.inf)
    follow[BOS, [4, 5]] = torch.tensor([0.6, 0.4]).log()
    follow[4, 2:] = 0
    follow[[UNK, 5], EOS] = 0
    model = Chain(follow, torch.zeros(LATENT, V)).requires_grad_(False)
    assert plain(decoding.greedy(model, codes(1), 9))[0][0] == 4
    assert plain(decoding.beam(model, codes(1), 9, 1))[0][0] == 4
    assert plain(decoding.beam(model, codes(1), 9, 2)) == [(5, EOS)]


def test_greedy_takes_the_likeliest_word_at_every_step():
    model, z = chain(), codes(20)
    for code, sentence in zip(z, plain(decoding.greedy(model, z, 30)), strict=True):
        last, expected = BOS, []
        while last != EOS and len(expected) < 30:
            last = int((model.follow[last] + code @ model.shift).argmax())
            expected.append(last)
        assert sentence == tuple(expected)


@pytest.mark.parametrize("seed", range(3))
def test_a_beam_of_one_is_greedy(seed):
    model, z = chain(seed), codes(20)
    found = decoding.beam(model, z, 12, 1)
    assert torch.equal(found, decoding.greedy(model, z, 12))


@pytest.mark.parametrize("width", [2, 5])
def test_a_wider_beam_finds_nothing_less_likely_than_greedy_here(width):
    model, z = chain(2), codes(20)
    pairs = zip(
        z,
        plain(decoding.greedy(model, z, LONGEST)),
        plain(decoding.beam(model, z, LONGEST, width)),
        strict=True,
    )
    scores = [
        (score(greedy), score(beam))
        for code, greedy, beam in pairs
        for score in [scorer(model, code)]
    ]
    assert all(beam >= greedy - 1e-5 for greedy, beam in scores)
    assert any(beam > greedy + 0.1 for greedy, beam in scores)


def test_draws_have_the_frequencies_of_the_chain():
    model, count = chain(), 40_000
    z = codes(1).expand(count, LATENT)
    torch.manual_seed(0)
    found = plain(decoding.sampled(model, z, 3))
    counts = dict.fromkeys(every_sentence(3), 0)
    for sentence in found:
        counts[sentence] += 1
    score = scorer(model, z[0])
    for sentence, seen in counts.items():
        p = math.exp(score(sentence))
        assert abs(seen - count * p) <= 5 * (count * p * (1 - p)) ** 0.5 + 1e-3


WAYS = {
    "greedy": decoding.greedy,
    "sampled": decoding.sampled,
    "beam": lambda model, z, longest: decoding.beam(model, z, longest, 3),
}
every_way = pytest.mark.parametrize("way", WAYS)


@pytest.mark.parametrize("way", ["greedy", "beam"])
def test_codes_are_decoded_together_as_alone(way):
    model, z = chain(3), codes(9)
    together = plain(WAYS[way](model, z, 15))
    assert len({len(sentence) for sentence in together}) > 1
    assert together == [plain(WAYS[way](model, code[None], 15))[0] for code in z]


@every_way
def test_finished_sentences_are_dropped_and_the_rest_is_cut(way):
    model, z = chain(3), codes(9)
    torch.manual_seed(0)
    found = plain(WAYS[way](model, z, 15))
    width = model.rows[0] // 9
    if way == "beam":  # a code is done when its first is
        assert model.rows == sorted(model.rows, reverse=True) and model.rows[-1] < 9 * width
    else:
        expected = [sum(len(s) > step for s in found) for step in range(len(model.rows))]
        assert model.rows == expected
    assert max(map(len, found)) == len(model.rows) or way == "beam"
    never = chain(3)
    never.follow[:, EOS] = -torch.inf
    found = WAYS[way](never, z, 7)
    assert found.shape == (9, 7) and not (found == PAD).any() and len(never.rows) == 7


@every_way
def test_a_state_goes_with_its_sentence(way):
    """A chain that counts down from its code: as many words as it says, whoever ends before."""

    class Countdown:
        def start(self, z):
            return Codes(z)

        def advance(self, tokens, state):
            left = state.z[:, 0]
            logits = torch.full((len(tokens), V), -50.0)
            logits[left > 0, 4] = 0
            logits[left == 0, EOS] = 0
            return logits, Codes(state.z - 1)

    z = torch.tensor([[3.0], [0.0], [5.0], [3.0], [1.0]])
    torch.manual_seed(0)
    found = WAYS[way](Countdown(), z, 20)
    assert plain(found) == [(4,) * int(n) + (EOS,) for n in z]
    assert found.shape == (5, 6)


@every_way
def test_neither_padding_nor_the_start_is_said(way):
    follow = torch.zeros(V, V)
    follow[:, [PAD, BOS]] = 50.0
    model = Chain(follow, torch.zeros(LATENT, V)).requires_grad_(False)
    torch.manual_seed(0)
    for sentence in plain(WAYS[way](model, codes(30), 8)):
        assert sentence and set(sentence) <= set(AFTER)
