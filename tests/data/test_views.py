"""What a view keeps, by the catalogue alone."""

import pytest

from vaebench.data.views import split_sizes
from vaebench.errors import UserError
from vaebench.registry.runs import DataView


@pytest.mark.parametrize(
    ("view", "sizes"),
    [
        (DataView(dataset="mnist"), {"train": 60_000, "test": 10_000}),
        (
            DataView(dataset="mnist", held_out=10_000),
            {"train": 50_000, "validation": 10_000, "test": 10_000},
        ),
        (
            DataView(dataset="mnist", held_out=10_000, limit=1_000),
            {"train": 1_000, "validation": 200, "test": 200},
        ),
        (
            DataView(dataset="digits-28x28", held_out=15, limit=5_000),
            {"train": 1_485, "validation": 15, "test": 297},
        ),
        (
            DataView(dataset="mnist", held_out=100, limit=20),
            {"train": 20, "validation": 10, "test": 10},
        ),
        (DataView(dataset="celeba"), {"train": 162_770, "validation": 19_867, "test": 19_962}),
        (DataView(dataset="celeba", limit=50), {"train": 50, "validation": 10, "test": 10}),
        (
            DataView(dataset="omniglot", held_out=2_000),
            {"train": 22_345, "validation": 2_000, "test": 8_070},
        ),
        (
            DataView(dataset="omniglot-derived", held_out=2_000, limit=300),
            {"train": 300, "validation": 100, "test": 100},
        ),
        (
            DataView(dataset="omniglot-derived", held_out=2_000, limit=1_000),
            {"train": 1_000, "validation": 200, "test": 200},
        ),
        (
            DataView(dataset="strokes-28x28", held_out=30, limit=50),
            {"train": 50, "validation": 20, "test": 20},
        ),
        (
            DataView(dataset="mnist", pixels="binary", held_out=2_000, binarisations=5),
            {"train": 58_000, "validation": 10_000, "test": 50_000},
        ),
        (
            DataView(dataset="mnist", pixels="binary", held_out=100, binarisations=2, limit=20),
            {"train": 20, "validation": 20, "test": 20},
        ),
    ],
    ids=str,
)
def test_split_sizes(view, sizes):
    assert list(split_sizes(view).items()) == list(sizes.items())


def test_a_set_with_validation_images_holds_out_no_others():
    with pytest.raises(UserError) as caught:
        split_sizes(DataView(dataset="celeba", held_out=10))
    assert str(caught.value) == (
        "data: held_out: celeba has 19,867 validation examples of its own; leave held_out out"
    )


@pytest.mark.parametrize("held_out", [1_500, 2_000])
def test_something_must_be_left_to_train_on(held_out):
    with pytest.raises(UserError) as caught:
        split_sizes(DataView(dataset="digits-28x28", held_out=held_out))
    assert str(caught.value) == (
        f"data: held_out: {held_out:,} leaves nothing to train on of the "
        "1,500 training examples of digits-28x28"
    )


@pytest.mark.parametrize("pixels", [None, "real", "symmetric", "thresholded"])
def test_only_drawn_pixels_have_binarisations(pixels):
    with pytest.raises(UserError) as caught:
        split_sizes(DataView(dataset="mnist", pixels=pixels, binarisations=5))
    assert str(caught.value) == (
        "data: binarisations: the pixels of this view of mnist are not drawn; "
        "say `pixels: binary`, or leave binarisations out"
    )


@pytest.mark.parametrize(
    ("option", "value"),
    [("pixels", "symmetric"), ("pixels", "thresholded"), ("orientation", "transposed")],
)
def test_text_has_no_view_of_images(option, value):
    with pytest.raises(UserError) as caught:
        split_sizes(DataView(dataset="grammar-reviews", **{option: value}))
    expected = f"data: {option}: grammar-reviews is text; leave {option} out"
    assert str(caught.value) == expected


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("binarisations", 0),
        ("binarisations", 2.5),
        ("orientation", "upright"),
        ("pixels", "grey"),
    ],
)
def test_what_an_option_of_images_may_be(option, value):
    with pytest.raises(UserError, match=option):
        DataView.read({"dataset": "mnist", option: value}, "data")


@pytest.mark.parametrize("held_out", [0, -1, 9, 10.5, "all"])
def test_held_out_is_ten_or_more(held_out):
    with pytest.raises(UserError, match="held_out"):
        DataView.read({"dataset": "mnist", "held_out": held_out}, "data")
