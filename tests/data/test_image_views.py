"""Images as the options of a view show them: thresholded, symmetric, drawn often, transposed."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from vaebench.data.catalog import CATALOG, lookup
from vaebench.data.dataset import PIXELS
from vaebench.data.loading import MAKERS, load
from vaebench.registry.runs import DataView

SPLITS = ("train", "validation", "test")
GREY = DataView(dataset="strokes-28x28", held_out=40)
OBLONG = (2, 8, 16)
VALUES = torch.arange(256, dtype=torch.uint8)


@pytest.fixture
def view_of(tmp_path):
    """Loads the drawn characters, under these options."""

    def run(**options):
        return load(GREY.model_copy(update=options), tmp_path)

    return run


@pytest.fixture
def ramp(monkeypatch, tmp_path):
    """Loads a set of images of two colours that hold every byte, under these options."""
    images = VALUES.numpy().reshape(1, *OBLONG)
    parts = {"train-images": images.repeat(12, 0), "train-labels": np.arange(12) % 2}
    parts |= {"test-images": images.repeat(10, 0), "test-labels": np.arange(10) % 2}
    splits = {"train": 12, "test": 10}
    entry = replace(lookup("digits-28x28"), name="ramp", shape=OBLONG, splits=splits, classes=2)
    monkeypatch.setitem(CATALOG, "ramp", entry)
    monkeypatch.setitem(MAKERS, "ramp", lambda: parts)
    return lambda **options: load(DataView(dataset="ramp", **options), tmp_path)


def everything(split):
    return split.take(torch.arange(len(split))).x


def test_thresholded_is_one_from_the_half_of_white_on(ramp):
    data = ramp(pixels="thresholded")
    expected = (VALUES.double() / 255 >= 0.5).float().view(OBLONG)
    for split in (data.train, data.test):
        assert split.images.dtype == torch.uint8
        assert (everything(split) == expected).all()


def test_symmetric_is_the_grid_of_256_values_from_minus_one_to_one(ramp):
    data = ramp(pixels="symmetric")
    expected = (2 * VALUES.double() / 255 - 1).view(OBLONG)
    for split in (data.train, data.test):
        assert split.images.dtype == torch.uint8
        x = everything(split)
        assert x.dtype == torch.float32
        torch.testing.assert_close(x.double(), expected.expand(len(split), -1, -1, -1))
        assert (x[0].flatten() == -x[0].flatten().flip(0)).all()
    assert (x.min(), x.max()) == (-1, 1)


@pytest.mark.parametrize("pixels", ["thresholded", "symmetric"])
def test_limit_and_held_out_are_those_of_real_pixels(view_of, pixels):
    for options in ({}, {"limit": 120}, {"limit": 120, "held_out": None}):
        grey, data = view_of(**options), view_of(pixels=pixels, **options)
        for name in SPLITS[:1] + SPLITS[2:] if "held_out" in options else SPLITS:
            split, stock = getattr(data, name), getattr(grey, name)
            assert torch.equal(split.labels, stock.labels)
            share = stock.images.double() / 255
            made = {"thresholded": (share >= 0.5).double(), "symmetric": 2 * share - 1}
            torch.testing.assert_close(everything(split).double(), made[pixels])


def test_every_view_has_a_hash_of_its_own(view_of):
    options = [{"pixels": pixels} for pixels in ("real", "symmetric", "thresholded", "binary")]
    options += [{"orientation": "transposed"}, {"pixels": "binary", "binarisations": 2}]
    options += [{"pixels": "symmetric", "orientation": "transposed"}]
    hashes = [view_of(**some).sha256 for some in options]
    assert len(set(hashes)) == len(options)
    assert hashes == [view_of(**some).sha256 for some in options]
    assert view_of().sha256 == hashes[0]


def test_binarisations_are_so_many_draws_of_each_image(view_of):
    once, data = view_of(pixels="binary"), view_of(pixels="binary", binarisations=5)
    assert torch.equal(data.train.images, once.train.images)
    assert torch.equal(data.train.labels, once.train.labels)
    assert (data.info.train_size, data.info.validation_size, data.info.test_size) == (260, 200, 500)
    grey = view_of()
    for name in ("validation", "test"):
        split, first, stock = (getattr(view, name) for view in (data, once, grey))
        assert split.images.dtype == torch.uint8
        assert set(split.images.unique().tolist()) == {0, 255}
        drawn = split.images.view(5, *stock.images.shape)
        assert torch.equal(drawn[0], first.images)
        assert torch.equal(split.labels.view(5, -1), stock.labels.expand(5, -1))
        assert torch.equal(everything(split), split.images / 255)
        chance = (stock.images.double() / 255).expand_as(drawn)
        ink = drawn.double() / 255
        assert abs((ink - chance).sum()) < 5 * (chance * (1 - chance)).sum() ** 0.5
        # Of independent draws the correlation is zero, up to chance.
        for one, other in pairwise(ink):
            products = (one - chance[0]) * (other - chance[0])
            spread = (chance[0] * (1 - chance[0])).square().sum() ** 0.5
            assert abs(products.sum()) < 5 * spread


def test_more_binarisations_begin_with_the_same(view_of):
    few, more = (view_of(pixels="binary", binarisations=count) for count in (1, 3))
    assert few.sha256 == view_of(pixels="binary").sha256
    for name in ("validation", "test"):
        split = getattr(few, name)
        assert torch.equal(getattr(more, name).images[: len(split)], split.images)


def test_a_limit_keeps_all_binarisations_of_an_image(view_of):
    data = view_of(pixels="binary", binarisations=3)
    few = view_of(pixels="binary", binarisations=3, limit=120)
    assert [len(getattr(few, name)) for name in SPLITS] == [120, 72, 72]
    for name in ("validation", "test"):
        stock = {image.numpy().tobytes() for image in getattr(data, name).images}
        assert {image.numpy().tobytes() for image in getattr(few, name).images} < stock


@pytest.mark.parametrize("pixels", sorted(set(PIXELS) - {None, "binary"}))
def test_transposed_swaps_rows_and_columns(view_of, ramp, pixels):
    upright, data = view_of(pixels=pixels), view_of(pixels=pixels, orientation="transposed")
    for name in SPLITS:
        split, stock = getattr(data, name), getattr(upright, name)
        assert split.images.is_contiguous()
        assert torch.equal(everything(split), everything(stock).transpose(2, 3))
        assert torch.equal(split.labels, stock.labels)
    oblong, turned = ramp(pixels=pixels), ramp(pixels=pixels, orientation="transposed")
    assert turned.info.shape == (2, 16, 8)
    assert torch.equal(everything(turned.test), everything(oblong.test).transpose(2, 3))


def test_a_transposed_image_is_drawn_as_the_upright_one(view_of):
    options = {"pixels": "binary", "binarisations": 2, "limit": 60}
    upright, data = view_of(**options), view_of(**options, orientation="transposed")
    for name in SPLITS:
        assert torch.equal(getattr(data, name).images, getattr(upright, name).images.mT)
