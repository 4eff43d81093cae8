"""Draws: the same for ever, and balanced."""

from hashlib import sha256

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vaebench.data.draws import balanced, binarised, drawn, normal, permutation, uniform

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


def test_uniform_numbers_are_what_they_were():
    numbers = uniform(10_000, seed=1)
    assert numbers.dtype == np.float32 and numbers.min() >= 0 and numbers.max() < 1
    assert sha256((numbers * 2**24).astype("<u4").tobytes()).hexdigest()[:16] == "b89977d7f8fd6d54"


def test_uniform_numbers_are_spread_evenly():
    counts = np.histogram(uniform(100_000, seed=2), bins=50, range=(0, 1))[0]
    assert np.square(counts - 2000).sum() / 2000 < 49 + 5 * 98**0.5


RAMP = np.arange(256, dtype=np.uint8)


def test_binary_images_are_what_they_were():
    drawn = binarised(np.tile(RAMP, (4, 1)).reshape(4, 16, 16), np.arange(4), seed=1)
    assert drawn.shape == (4, 16, 16) and drawn.dtype == np.uint8
    assert sha256(drawn.tobytes()).hexdigest()[:16] == "72c8ee8a758b99ae"


def test_binary_pixels_are_as_often_white_as_their_grey_value_says():
    count = 4_000
    drawn = binarised(np.tile(RAMP, (count, 1)), np.arange(count), seed=3)
    assert set(np.unique(drawn)) == {0, 255}
    chance, white = RAMP / 255, (drawn == 255).sum(0)
    assert white[0] == 0 and white[255] == count
    spread = (count * chance * (1 - chance))[1:-1]
    scores = (white - count * chance)[1:-1] / spread**0.5
    assert abs(scores).max() < 5
    assert abs(np.square(scores).sum() - 254) < 5 * (2 * 254) ** 0.5


@given(st.sets(st.integers(0, 29), min_size=1), seeds)
def test_an_image_is_drawn_by_its_place_alone(kept, seed):
    images = np.random.Generator(np.random.PCG64(0)).integers(0, 256, (30, 3, 5), np.uint8)
    places = np.array(sorted(kept))
    everything = binarised(images, np.arange(30), seed)
    assert (binarised(images[places], places, seed) == everything[places]).all()


def test_every_place_is_drawn_anew():
    drawn = binarised(np.full((50, 64), 128, np.uint8), np.arange(50), seed=4)
    assert len({image.tobytes() for image in drawn}) == 50


def test_normal_numbers_have_the_moments_of_a_gaussian():
    numbers, count = normal(40_000, seed=5), 40_000
    assert numbers.dtype == np.float64
    for power, moment, spread in [(1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)]:
        assert abs((numbers**power).mean() - moment) < 5 * (spread / count) ** 0.5
    assert abs((numbers[1:] * numbers[:-1]).mean()) < 5 / count**0.5


@given(st.integers(0, 50), seeds)
def test_more_normal_numbers_begin_with_the_same(size, seed):
    assert (normal(60, seed)[:size] == normal(size, seed)).all()
