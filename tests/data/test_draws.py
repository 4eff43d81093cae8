"""Draws: the same for ever, and balanced."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vaebench.data.draws import balanced, permutation

labels_of = st.lists(st.integers(0, 6), min_size=1, max_size=200).map(np.array)
seeds = st.integers(0, 2**32)


def test_a_permutation_is_what_it_was():
    assert permutation(10, seed=1).tolist() == [9, 2, 4, 7, 5, 0, 8, 6, 3, 1]


@given(st.integers(0, 300), seeds)
def test_permutation(size, seed):
    assert sorted(permutation(size, seed)) == list(range(size))


@given(labels_of, st.integers(1, 250), seeds)
def test_balanced_up_to_exhausted_classes(labels, size, seed):
    kept = balanced(labels, size, seed)
    assert len(kept) == min(size, len(labels))
    assert (np.diff(kept) > 0).all()
    stock = np.bincount(labels, minlength=7)
    counts = np.bincount(labels[kept], minlength=7)
    unexhausted = counts[counts < stock]
    if unexhausted.size:
        assert counts.max() - unexhausted.min() <= 1


@given(st.integers(1, 9), st.integers(1, 20), st.data(), seeds)
def test_class_counts_differ_by_at_most_one(classes, each, data, seed):
    order = permutation(classes * each, seed)
    labels = np.repeat(np.arange(classes), each)[order]
    size = data.draw(st.integers(1, classes * each))
    counts = np.bincount(labels[balanced(labels, size, seed)], minlength=classes)
    assert counts.sum() == size
    assert np.ptp(counts) <= 1


@given(labels_of, st.integers(1, 100), st.integers(0, 100), seeds)
def test_a_larger_draw_has_every_example_of_a_smaller_one(labels, size, more, seed):
    smaller, larger = balanced(labels, size, seed), balanced(labels, size + more, seed)
    assert set(smaller) <= set(larger)


def test_the_seed_decides():
    labels = np.arange(100) % 10
    assert (balanced(labels, 20, 1) == balanced(labels, 20, 1)).all()
    assert (balanced(labels, 20, 1) != balanced(labels, 20, 2)).any()
