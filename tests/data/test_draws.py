"""Draws: the same for ever, and balanced."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vaebench.data.draws import balanced, drawn, permutation

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


@given(st.integers(0, 200), st.integers(0, 250), st.integers(0, 100), seeds)
def test_drawn_from_all(count, size, more, seed):
    smaller, larger = drawn(count, size, seed), drawn(count, size + more, seed)
    assert len(smaller) == min(size, count)
    assert (np.diff(smaller) > 0).all() and set(smaller) <= set(larger) <= set(range(count))


def test_a_draw_from_all_takes_each_as_often():
    counts = sum(np.bincount(drawn(10, 3, seed), minlength=10) for seed in range(1000))
    assert abs(counts - 300).max() < 5 * (1000 * 0.3 * 0.7) ** 0.5


def test_the_seed_decides():
    labels = np.arange(100) % 10
    assert (balanced(labels, 20, 1) == balanced(labels, 20, 1)).all()
    assert (balanced(labels, 20, 1) != balanced(labels, 20, 2)).any()
