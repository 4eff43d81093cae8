"""Sentences with words taken away, and sentences that a model said."""

from itertools import combinations

import numpy as np
import pytest
import torch
from fixtures import sentences, within
from hypothesis import given, settings
from hypothesis import strategies as st

from vaebench.data.dataset import TextSplit
from vaebench.data.rewritten import said, thinned
from vaebench.data.tokenizers import BOS, EOS

law = settings(deadline=None, max_examples=40)
texts = st.lists(st.lists(st.integers(3, 30), max_size=12), min_size=1, max_size=12)


def split_of(words):
    whole = [[BOS, *row, EOS] for row in words]
    lengths = torch.tensor([len(row) for row in whole])
    tokens = torch.tensor([place for row in whole for place in row], dtype=torch.int32)
    return TextSplit(tokens, lengths, torch.arange(len(words)))


def words_of(split):
    """Those of each sentence between its <s> and its </s>."""
    found = []
    for i in range(len(split)):
        first, *words, last = split.take(torch.tensor([i])).x[0].tolist()
        assert (first, last) == (BOS, EOS)
        found.append(words)
    return found


@law
@given(texts, st.sampled_from([0.0, 0.3, 0.7, 1.0]), st.integers(0, 5))
def test_so_many_words_stay_and_in_their_order(words, keep, seed):
    # Numbered, so that it is seen where a word stood.
    numbered = [[100 * (i + 1) + place for place in range(len(row))] for i, row in enumerate(words)]
    found = words_of(thinned(split_of(numbered), keep, seed))
    for before, after in zip(numbered, found, strict=True):
        assert len(after) == int(keep * len(before))
        assert after == sorted(after) and set(after) <= set(before)


def test_it_is_a_function_of_the_seed():
    split = sentences(40)
    one, same, other = (thinned(split, 0.7, seed) for seed in (0, 0, 1))
    assert torch.equal(one.tokens, same.tokens) and torch.equal(one.labels, split.labels)
    assert not torch.equal(one.tokens, other.tokens)
    assert torch.equal(one.lengths, other.lengths)
    assert torch.equal(thinned(split, 1.0, 0).tokens, split.tokens)
    assert words_of(thinned(split_of([[7]]), 0.7, 0)) == [[]]


def test_every_choice_of_words_is_equally_likely():
    split = split_of([[10, 11, 12, 13]] * 6_000)
    found = np.array(words_of(thinned(split, 0.5, 0)))
    for pair in combinations(range(10, 14), 2):
        assert within(torch.from_numpy((found == pair).all(1)).double(), 1 / 6)


@pytest.mark.parametrize("keep", [-0.1, 1.1])
def test_what_cannot_stay_is_told(keep):
    with pytest.raises(ValueError, match="keep"):
        thinned(split_of([[3]]), keep, 0)


@law
@given(texts)
def test_what_was_said_is_a_split(words):
    expected = split_of(words)
    longest = max(map(len, words))
    rows = [row + [EOS] * (longest - len(row)) for row in words]
    shown = torch.tensor(rows, dtype=torch.int64).view(len(words), longest)
    lengths = torch.tensor([len(row) for row in words])
    found = said(shown, lengths, expected.labels)
    for name, values in expected.tensors.items():
        assert torch.equal(found.tensors[name], values)
        assert found.tensors[name].dtype == values.dtype
