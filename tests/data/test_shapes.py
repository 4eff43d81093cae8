"""The coloured shapes drawn in code."""

import hashlib

import numpy as np
import pytest

from vaebench.data.catalog import lookup
from vaebench.data.shapes import CLASSES, make


@pytest.fixture(scope="module")
def parts():
    return make()


def test_shapes_and_types(parts):
    entry = lookup("shapes-32x32")
    assert entry.classes == len(CLASSES) == 10
    for split, size in entry.splits.items():
        assert parts[f"{split}-images"].shape == (size, *entry.shape)
        counts = np.bincount(parts[f"{split}-labels"], minlength=entry.classes)
        assert (counts == size // entry.classes).all()
    assert {array.dtype for array in parts.values()} == {np.dtype(np.uint8)}


def test_they_are_the_same_on_every_machine(parts):
    digest = hashlib.sha256()
    for part in sorted(parts):
        digest.update(np.ascontiguousarray(parts[part]).data)
    expected = "ab181342abe38dacf6d24f64500c86c3d0f7304645afa6b13d39669132089a49"
    assert digest.hexdigest() == expected


def test_no_two_are_alike(parts):
    images = np.concatenate([parts["train-images"], parts["test-images"]])
    assert len({image.tobytes() for image in images}) == len(images) == 400


def test_the_last_training_images_are_of_all_classes(parts):
    """They are what a view holds out."""
    assert set(parts["train-labels"][-30:]) == set(range(10))


def test_colours_are_many_and_use_the_whole_range(parts):
    images = parts["train-images"] / 255
    assert images.min() < 0.02 and images.max() > 0.98
    assert (images.mean((0, 2, 3)) > 0.3).all() and (images.mean((0, 2, 3)) < 0.5).all()
    # Neither does any channel follow from another.
    correlations = np.corrcoef(images.mean((2, 3)).T)
    assert abs(correlations[~np.eye(3, dtype=bool)]).max() < 0.5


def edges(images):
    """How an image looks whatever its colours, place and turn: sorted sizes of the Fourier
    transform of its steps, [n,F]."""
    steps = np.abs(np.diff(images / 255.0, axis=2))[..., :-1].sum(1)
    steps = steps + np.abs(np.diff(images / 255.0, axis=3))[:, :, :-1].sum(1)
    spectrum = np.abs(np.fft.fft2(steps / steps.std((1, 2), keepdims=True)))
    y, x = (np.minimum(i, 31 - i) for i in np.indices((31, 31)))
    rings = np.round(np.hypot(y, x)).astype(int)
    power = [spectrum[:, rings == ring] for ring in range(1, 16)]
    means = np.stack([part.mean(1) for part in power], 1)
    peaks = np.stack([part.max(1) for part in power], 1)
    return np.log(np.concatenate([means, peaks], 1))


def test_figures_can_be_told_apart_whatever_their_colours(parts):
    """Linear regression on the spectra of edges tells the classes, by chance 1 in 10."""
    train, test = edges(parts["train-images"]), edges(parts["test-images"])
    mean, spread = train.mean(0), train.std(0)
    train, test = ((part - mean) / spread for part in (train, test))
    targets = np.eye(10)[parts["train-labels"]] - 0.1
    weights = np.linalg.solve(train.T @ train + 3 * np.eye(train.shape[1]), train.T @ targets)
    right = (test @ weights).argmax(1) == parts["test-labels"]
    assert right.mean() > 0.6
