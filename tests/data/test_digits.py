"""The digits made in code."""

import numpy as np
import pytest

from vaebench.data.digits import make


@pytest.fixture(scope="module")
def parts():
    return make()


def test_shapes_and_types(parts):
    assert {part: array.shape for part, array in parts.items()} == {
        "train-images": (1500, 28, 28),
        "train-labels": (1500,),
        "test-images": (297, 28, 28),
        "test-labels": (297,),
    }
    assert {array.dtype for array in parts.values()} == {np.dtype(np.uint8)}


def test_all_digits_occur_in_both_splits(parts):
    for part in ("train-labels", "test-labels"):
        assert np.bincount(parts[part], minlength=10).min() > 20


def test_images_are_blocks_of_the_small_ones(parts):
    images = parts["train-images"]
    assert images.min() == 0 and images.max() == 255
    inner = images[:, 2:-2, 2:-2]
    assert inner.sum() == images.sum()
    np.testing.assert_array_equal(inner[:, ::3, ::3].repeat(3, 1).repeat(3, 2), inner)
    assert len(np.unique(images)) == 17
