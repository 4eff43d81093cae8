"""The characters drawn in code."""

import hashlib

import numpy as np
import pytest

from vaebench.data.catalog import lookup
from vaebench.data.strokes import ALPHABETS, CHARACTERS, make


@pytest.fixture(scope="module")
def parts():
    return make()


def test_shapes_and_types(parts):
    entry = lookup("strokes-28x28")
    assert entry.classes == len(ALPHABETS) * CHARACTERS
    for split, size in entry.splits.items():
        assert parts[f"{split}-images"].shape == (size, *entry.shape[1:])
        assert parts[f"{split}-images"].dtype == np.uint8
        counts = np.bincount(parts[f"{split}-labels"], minlength=entry.classes)
        assert (counts == size // entry.classes).all()
        assert (np.diff(parts[f"{split}-labels"]) >= 0).all()
    assert parts["class-groups"].tolist() == [0] * 5 + [1] * 5 + [2] * 5 + [3] * 5


def test_they_are_the_same_on_every_machine(parts):
    digest = hashlib.sha256()
    for part in sorted(parts):
        digest.update(parts[part].astype(np.uint8).tobytes())
    expected = "c40a8ad5afbeba9f0429272324e922723e7dcf2d19fa3f7779d61c3cf15f7360"
    assert digest.hexdigest() == expected


def test_no_two_are_alike(parts):
    images = np.concatenate([parts["train-images"], parts["test-images"]])
    assert len({image.tobytes() for image in images}) == len(images) == 400


def test_ink_is_as_in_omniglot_and_soft_at_its_edge(parts):
    """The mean of OMNIGLOT's drawings at 28x28 is 0.08."""
    images = parts["train-images"] / 255
    assert images.mean() == pytest.approx(0.08, abs=0.01)
    assert images.max() == 1
    grey = (images > 0) & (images < 1)
    assert 0.3 < grey.sum() / (images > 0).sum() < 0.9


def test_characters_stay_on_the_canvas(parts):
    images = np.concatenate([parts["train-images"], parts["test-images"]]) / 255
    border = images.copy()
    border[:, 1:-1, 1:-1] = 0
    assert border.sum() < 0.01 * images.sum()


def smeared(images):
    """Each the sum of itself and its neighbours by one pixel."""
    near = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)]
    return sum(np.roll(images / 255, shift, (1, 2)) for shift in near).reshape(len(images), -1)


def test_characters_and_alphabets_can_be_told_apart(parts):
    """The nearest training drawing has the character of a test drawing, by chance 1 in 20."""
    train, test = smeared(parts["train-images"]), smeared(parts["test-images"])
    distances = np.square(train).sum(1) - 2 * test @ train.T
    found, right = parts["train-labels"][distances.argmin(1)], parts["test-labels"]
    assert (found == right).mean() > 0.8
    assert (parts["class-groups"][found] == parts["class-groups"][right]).mean() > 0.9
