"""From files to tensors."""

import hashlib
import json
from typing import get_args

import numpy as np
import pytest
import torch

from vaebench.data import digits
from vaebench.data.catalog import CATALOG
from vaebench.data.dataset import PIXELS, ImageSplit
from vaebench.data.loading import Views, load
from vaebench.data.tokenizers import SPECIALS
from vaebench.errors import UserError
from vaebench.registry.runs import DataView, TokenizerSettings

DIGITS = DataView(dataset="digits-28x28", pixels="real")
STROKES = DataView(dataset="strokes-28x28", pixels="binary", held_out=40)
TINY = DataView(dataset="tiny", pixels="real")


@pytest.fixture
def folder(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("VAEBENCH_DATA", str(tmp_path))
    tiny.put(tmp_path / "tiny")
    return tmp_path


def test_every_pixel_view_is_known():
    declared = DataView.model_fields["pixels"].annotation
    known = {value for part in get_args(declared) for value in get_args(part) or [None]}
    assert set(PIXELS) == known


def test_files_become_tensors(tiny, folder):
    data = load(TINY, folder)
    assert data.train.images.shape == (20, 1, 4, 4) and data.train.images.dtype == torch.uint8
    assert data.test.labels.tolist() == [0, 1] * 5 and data.test.labels.dtype == torch.int64
    stored = np.frombuffer(tiny.contents["train-images-idx"][16:], np.uint8)
    np.testing.assert_array_equal(data.train.images.flatten(), stored)
    assert (data.info.name, data.info.kind, data.info.shape) == ("tiny", "stand-in", (1, 4, 4))
    assert (data.info.classes, data.info.train_size, data.info.test_size) == (2, 20, 10)


def test_a_batch_is_a_selection_in_the_unit_interval(folder):
    train = load(TINY, folder).train
    index = torch.tensor([3, 0, 3])
    batch = train.take(index)
    assert batch.x.dtype == torch.float32 and batch.x.shape == (3, 1, 4, 4)
    assert torch.equal(batch.x, train.images[index] / 255)
    assert torch.equal(batch.y, train.labels[index])
    assert len(train) == 20


def test_white_is_exactly_one(folder):
    train = load(DIGITS, folder).train
    x = train.take(torch.arange(len(train))).x
    assert x.min() == 0 and x.max() == 1


def test_to_moves_a_split(folder):
    moved = load(TINY, folder).train.to("meta")
    assert moved.images.is_meta and moved.labels.is_meta and len(moved) == 20


def test_the_hash_is_that_of_the_tensors(folder):
    first = load(TINY, folder)
    assert load(TINY, folder).sha256 == first.sha256
    assert load(TINY.model_copy(update={"pixels": None}), folder).sha256 == first.sha256
    assert load(TINY.model_copy(update={"limit": 10}), folder).sha256 != first.sha256


def test_digits_need_no_files_and_stay_the_same(tmp_path):
    data = load(DIGITS, tmp_path / "none")
    assert data.info.kind == "stand-in"
    assert (len(data.train), len(data.test)) == (1500, 297)
    assert data.sha256 == "67c074128a21a764627c4e5ea7b1a48cf4612541ce5f9e59db45ad9d1968043b"


@pytest.mark.parametrize(("limit", "test_size"), [(10, 10), (57, 11), (1000, 200), (5000, 297)])
def test_limit_keeps_a_balanced_draw(tmp_path, limit, test_size):
    data = load(DIGITS.model_copy(update={"limit": limit}), tmp_path)
    assert (data.info.train_size, data.info.test_size) == (min(limit, 1500), test_size)
    if limit <= 1000:
        for split in (data.train, data.test):
            counts = split.labels.bincount(minlength=10)
            assert counts.max() - counts.min() <= 1


def test_limit_keeps_images_and_labels_together(tmp_path):
    parts = digits.make()
    label_of = {
        image.tobytes(): int(label)
        for image, label in zip(parts["train-images"], parts["train-labels"], strict=True)
    }
    train = load(DIGITS.model_copy(update={"limit": 100}), tmp_path).train
    for image, label in zip(train.images, train.labels, strict=True):
        assert label_of[image.numpy().tobytes()] == int(label)


def pairs(split):
    """Each image's bytes with its label."""
    return {(x.numpy().tobytes(), int(y)) for x, y in zip(split.images, split.labels, strict=True)}


def test_the_last_training_images_are_held_out(tmp_path):
    whole = load(DIGITS, tmp_path)
    cut = load(DIGITS.model_copy(update={"held_out": 150}), tmp_path)
    assert whole.validation is None and whole.info.validation_size == 0
    assert (cut.info.train_size, cut.info.validation_size, cut.info.test_size) == (1350, 150, 297)
    for what in ("images", "labels"):
        train, held_out = getattr(cut.train, what), getattr(cut.validation, what)
        assert torch.equal(torch.cat([train, held_out]), getattr(whole.train, what))
        assert torch.equal(getattr(cut.test, what), getattr(whole.test, what))


def test_images_in_order_of_class_are_held_out_by_a_draw(tmp_path):
    view = DataView(dataset="strokes-28x28")
    whole = load(view, tmp_path)
    cut, more = (
        load(view.model_copy(update={"held_out": held_out}), tmp_path) for held_out in (40, 60)
    )
    assert [len(s) for s in (cut.train, cut.validation, cut.test)] == [260, 40, 100]
    assert pairs(cut.train) | pairs(cut.validation) == pairs(whole.train)
    assert not pairs(cut.train) & pairs(cut.validation)
    assert pairs(cut.validation) < pairs(more.validation)
    assert torch.equal(cut.test.images, whole.test.images)
    for split in (cut.train, cut.validation):
        assert (split.labels.diff() >= 0).all()
    assert len(cut.validation.labels.unique()) > 10


def test_limit_draws_from_what_is_left_for_training(tmp_path):
    view = DIGITS.model_copy(update={"held_out": 750})
    cut, limited = load(view, tmp_path), load(view.model_copy(update={"limit": 100}), tmp_path)
    assert [len(s) for s in (limited.train, limited.validation, limited.test)] == [100, 20, 20]
    for split in ("train", "validation", "test"):
        kept, stock = getattr(limited, split), getattr(cut, split)
        assert kept.labels.bincount(minlength=10).eq(len(kept) // 10).all()
        assert pairs(kept) <= pairs(stock)


def test_the_validation_split_is_in_the_hash(tmp_path):
    """Moving one image from the training images to the validation images is another view."""
    hashes = {
        load(DIGITS.model_copy(update={"held_out": held_out}), tmp_path).sha256
        for held_out in (None, 10, 11)
    }
    first = load(DIGITS.model_copy(update={"held_out": 10}), tmp_path)
    digest = hashlib.sha256()
    for name in ("train", "test", "validation"):
        for what in ("images", "labels"):
            array = getattr(getattr(first, name), what).numpy()
            digest.update(f"{name} {what} {array.dtype} {array.shape}\n".encode())
            digest.update(array.tobytes())
    assert len(hashes) == 3 and first.sha256 == digest.hexdigest()


def test_binary_training_images_are_drawn_at_every_take(tmp_path):
    data = load(STROKES, tmp_path)
    grey = load(STROKES.model_copy(update={"pixels": "real"}), tmp_path)
    assert torch.equal(data.train.images, grey.train.images)
    index = torch.arange(len(data.train))
    torch.manual_seed(0)
    first, second = data.train.take(index), data.train.take(index)
    assert first.x.dtype == torch.float32 and set(first.x.unique().tolist()) == {0.0, 1.0}
    assert torch.equal(first.y, data.train.labels) and not torch.equal(first.x, second.x)
    torch.manual_seed(0)
    assert torch.equal(data.train.take(index).x, first.x)
    assert torch.equal(data.train.take(index).x, second.x)


def test_binary_training_pixels_are_as_often_one_as_their_grey_value_says():
    """Pearson's statistic of all grey values, with its exact variance, and each value's own."""
    images, count = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16), 4_000
    train = ImageSplit(images, torch.zeros(1, dtype=torch.int64), PIXELS["binary"])
    torch.manual_seed(1)
    drawn = train.take(torch.zeros(count, dtype=torch.int64)).x.double().flatten(1)
    ones, chance = drawn.sum(0), torch.arange(256) / 255
    assert ones[0] == 0 and ones[255] == count
    variance = (chance * (1 - chance))[1:-1].double()
    squares = (ones - count * chance)[1:-1].square() / (count * variance)
    spread = (2 + (1 - 6 * variance) / (count * variance)).sum() ** 0.5
    assert abs(squares.sum() - 254) < 5 * spread
    assert squares.max() < 25


def test_binary_validation_and_test_images_are_drawn_once(tmp_path):
    data, again = load(STROKES, tmp_path), load(STROKES, tmp_path)
    grey = load(STROKES.model_copy(update={"pixels": "real"}), tmp_path)
    for name in ("validation", "test"):
        split, stock = getattr(data, name), getattr(grey, name)
        assert set(split.images.unique().tolist()) == {0, 255}
        assert torch.equal(split.images, getattr(again, name).images)
        assert torch.equal(split.labels, stock.labels)
        assert (split.images[stock.images == 0] == 0).all()
        assert (split.images[stock.images == 255] == 255).all()
        chance = stock.images.double() / 255
        spread = (chance * (1 - chance)).sum() ** 0.5
        assert abs((split.images.double() / 255 - chance).sum()) < 5 * spread
        everything = torch.arange(len(split))
        assert torch.equal(split.take(everything).x, split.images / 255)
        assert torch.equal(split.take(everything).x, split.take(everything).x)
    assert data.sha256 == again.sha256 != grey.sha256
    assert data.sha256 == "1ee86355ee1578f4a4549bfddec48878f9eb65d039f909322f64184f7939a906"


def test_a_limit_does_not_redraw_binary_images(tmp_path):
    data, few = load(STROKES, tmp_path), load(STROKES.model_copy(update={"limit": 120}), tmp_path)
    assert [len(s) for s in (few.train, few.validation, few.test)] == [120, 24, 24]
    for name in ("train", "validation", "test"):
        assert pairs(getattr(few, name)) < pairs(getattr(data, name))


def test_characters_have_alphabets(tmp_path):
    data = load(STROKES, tmp_path)
    assert data.class_groups.dtype == torch.int64
    assert data.class_groups.bincount().tolist() == [5, 5, 5, 5]
    assert data.to("meta").class_groups.is_meta
    digits = load(DIGITS, tmp_path)
    assert digits.class_groups is None and digits.to("meta").class_groups is None


def test_attributes_are_drawn_without_balance(tmp_path):
    whole = load(DataView(dataset="faces-64x64"), tmp_path)
    few = load(DataView(dataset="faces-64x64", limit=100), tmp_path)
    assert (whole.info.classes, whole.info.attributes) == (0, 8)
    assert whole.train.images.shape == (1200, 3, 64, 64) and whole.info.shape == (3, 64, 64)
    assert [len(s) for s in (few.train, few.validation, few.test)] == [100, 20, 20]
    for split in ("train", "validation", "test"):
        kept, stock = getattr(few, split), getattr(whole, split)
        assert kept.labels.dtype == torch.int64 and kept.labels.shape == (len(kept), 8)
        same = (kept.images[:, None, :, ::9, ::9] == stock.images[None, :, :, ::9, ::9]).flatten(2)
        place = same.all(-1).int().argmax(-1)
        assert (place.diff() > 0).all()
        assert torch.equal(stock.images[place], kept.images)
        assert torch.equal(stock.labels[place], kept.labels)


def test_a_batch_of_attributes(tmp_path):
    train = load(DataView(dataset="faces-64x64"), tmp_path).train
    batch = train.take(torch.tensor([5, 2]))
    assert batch.x.shape == (2, 3, 64, 64) and batch.y.shape == (2, 8)
    assert torch.equal(batch.x[1], train.images[2] / 255)


@pytest.mark.parametrize("held_out", [None, 20])
def test_to_moves_a_data_set(tmp_path, held_out):
    data = load(DIGITS.model_copy(update={"held_out": held_out}), tmp_path)
    moved = data.to("meta")
    assert moved.train.images.is_meta and moved.test.labels.is_meta
    assert (moved.validation is None) == (held_out is None)
    assert moved.validation is None or moved.validation.images.is_meta
    assert (moved.info, moved.sha256, moved.cache) == (data.info, data.sha256, data.cache)
    assert data.cache.is_relative_to(tmp_path / "digits-28x28")


def test_each_view_has_a_cache_of_its_own(tmp_path):
    first = load(DIGITS, tmp_path)
    assert load(DIGITS, tmp_path).cache == first.cache
    assert load(DIGITS.model_copy(update={"limit": 10}), tmp_path).cache != first.cache


def test_weights_are_no_data_set(tmp_path):
    with pytest.raises(UserError, match=r"^'inception' is the name of weights, not of a data set"):
        load(DataView(dataset="inception"), tmp_path)


def test_missing_data(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("VAEBENCH_DATA", str(tmp_path))
    with pytest.raises(UserError) as caught:
        load(TINY, tmp_path)
    assert str(caught.value) == (
        f"the data set tiny is not in {tmp_path}\n"
        "`vaebench fetch-data tiny` downloads it, "
        "`vaebench fetch-data tiny --from DIR` takes files you have, "
        "and `--scale smoke` needs no data"
    )


def test_partly_missing_data(folder):
    (folder / "tiny" / "train-labels-idx").unlink()
    with pytest.raises(UserError, match=f"^the data set tiny in {folder} lacks train-labels-idx\n"):
        load(TINY, folder)


def test_a_truncated_file(folder):
    path = folder / "tiny" / "test-images-idx"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(UserError) as caught:
        load(TINY, folder)
    assert str(caught.value) == (
        f"{path}: expected 176 bytes, found 100 (cut short); "
        "`vaebench fetch-data tiny` fetches it again"
    )


def test_an_altered_file(tiny, folder, monkeypatch):
    monkeypatch.delenv("VAEBENCH_DATA")
    path = folder / "tiny" / "train-labels-idx"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        load(TINY, folder)
    expected = tiny.entry.file("train-labels").sha256
    assert str(caught.value).startswith(f"{path}: expected sha256 {expected}, found ")
    assert str(caught.value).endswith(
        f"; `vaebench fetch-data tiny --data-dir {folder}` fetches it again"
    )


def test_a_recorded_checksum_is_checked(tiny, folder, monkeypatch):
    entry = tiny.with_mirrors(verified=False)
    monkeypatch.setitem(CATALOG, "tiny", entry)
    load(TINY, folder)
    (folder / "tiny" / "checksums.json").write_text(json.dumps({"test-labels-idx": "0" * 64}))
    with pytest.raises(UserError, match=f"test-labels-idx: expected sha256 {'0' * 64}, found"):
        load(TINY, folder)


def test_unknown_data_set(tmp_path):
    with pytest.raises(UserError, match="unknown data set 'mnits'; did you mean"):
        load(DataView(dataset="mnits"), tmp_path)


@pytest.mark.real_data
def test_mnist(mnist_dir):
    data = load(DataView(dataset="mnist", pixels="real"), mnist_dir)
    assert data.info.kind == "original"
    assert data.train.labels.bincount().tolist() == [
        *(5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
    ]
    assert data.test.labels[:5].tolist() == [7, 2, 1, 0, 4]
    mean = data.train.images.double().mean() / 255
    assert mean == pytest.approx(0.1307, abs=5e-5)
    assert data.sha256 == "57cdc2f72499d301d1a6708e6d05bdab9f9c0a1b6184c770679c46c563300aa8"


@pytest.mark.real_data
def test_mnist_limited(mnist_dir):
    data = load(DataView(dataset="mnist", pixels="real", limit=1003), mnist_dir)
    counts = data.train.labels.bincount()
    assert counts.sum() == 1003 and counts.max() - counts.min() == 1
    assert data.test.labels.bincount().tolist() == [20] * 10


def test_a_vocabulary_is_read_before_anything_starts(tmp_path):
    path = tmp_path / "vocab.txt"
    view = DataView(
        dataset="grammar-reviews",
        tokenizer=TokenizerSettings(kind="words", vocabulary=str(path)),
    )
    with pytest.raises(UserError, match=r"vocab\.txt: cannot be read"):
        Views(tmp_path).require([view])
    path.write_text("<pad>\n<s>\nword\n", encoding="utf-8")
    with pytest.raises(UserError, match=r"vocab\.txt: line 3: expected </s>, found word"):
        Views(tmp_path).require([view])
    path.write_text("<pad>\n<s>\n</s>\n<unk>\nword\n", encoding="utf-8")
    Views(tmp_path).require([view])


def test_a_vocabulary_stays_as_it_was_at_its_first_use(tmp_path):
    path, folder = tmp_path / "vocab.txt", tmp_path / "data"
    view = DataView(
        dataset="grammar-reviews",
        limit=20,
        tokenizer=TokenizerSettings(kind="words", vocabulary=str(path)),
    )

    def write(*words):
        path.write_text("\n".join([*SPECIALS, *words]), encoding="utf-8")

    write("the", "was")
    Views(folder).require([view])
    write("the", "is")  # nothing has used it yet
    first = load(view, folder)
    assert first.tokenizer.words[4:] == ("the", "is")
    assert load(view, folder).sha256 == first.sha256
    write("the", "was")
    changed = r"vocab\.txt: its words have changed since it was first used; .*checksums\.json"
    with pytest.raises(UserError, match=changed):
        Views(folder).require([view])
    with pytest.raises(UserError, match=changed):
        load(view, folder)
    write("the", "is")
    Views(folder).require([view])
    other = tmp_path / "other.txt"
    other.write_text("\n".join([*SPECIALS, "good"]), encoding="utf-8")
    second = TokenizerSettings(kind="words", vocabulary=str(other))
    load(view.model_copy(update={"tokenizer": second}), folder)
    assert sorted(json.loads((folder / "checksums.json").read_text())) == [str(other), str(path)]
