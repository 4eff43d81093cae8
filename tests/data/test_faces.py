"""The faces drawn in code."""

import hashlib

import numpy as np
import pytest

from vaebench.data.catalog import lookup
from vaebench.data.faces import ATTRIBUTES, make


@pytest.fixture(scope="module")
def parts():
    return make()


def test_shapes_and_types(parts):
    entry = lookup("faces-64x64")
    assert entry.attributes == len(ATTRIBUTES)
    assert {part: array.shape for part, array in parts.items()} == {
        f"{split}-{what}": (size, *shape)
        for split, size in entry.splits.items()
        for what, shape in (("images", entry.shape), ("labels", (entry.attributes,)))
    }
    assert {array.dtype for array in parts.values()} == {np.dtype(np.uint8)}


def test_they_are_the_same_on_every_machine(parts):
    digest = hashlib.sha256()
    for part in sorted(parts):
        digest.update(np.ascontiguousarray(parts[part]).data)
    expected = "53ca0879557d093247228e704c05fc53ad406c4cda1d5197806b89685cad3ff8"
    assert digest.hexdigest() == expected


def test_no_two_faces_are_alike(parts):
    faces = np.concatenate([parts[f"{split}-images"] for split in ("train", "validation", "test")])
    assert len({face.tobytes() for face in faces}) == len(faces)


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_every_attribute_is_there_as_often_as_not(parts, split):
    labels = parts[f"{split}-labels"]
    assert set(np.unique(labels)) == {0, 1}
    assert (abs(labels.mean(0) - 0.5) < 3 * 0.5 / len(labels) ** 0.5).all()


def test_every_attribute_can_be_seen(parts):
    """Ridge regression on the pixels of the training faces tells those of the test faces."""
    train, test = (
        parts[f"{split}-images"].reshape(len(parts[f"{split}-images"]), -1) / np.float32(255)
        for split in ("train", "test")
    )
    mean = train.mean(0)
    train, test = train - mean, test - mean
    signs = parts["train-labels"] * 2.0 - 1
    weights = np.linalg.solve(train @ train.T + 30 * np.eye(len(train)), signs)
    right = ((test @ train.T @ weights > 0) == parts["test-labels"]).mean(0)
    assert dict(zip(ATTRIBUTES, right > 0.9, strict=True)) == dict.fromkeys(ATTRIBUTES, True)
