"""From files to tensors."""

import json
from typing import get_args

import numpy as np
import pytest
import torch

from vaebench.data import digits
from vaebench.data.catalog import CATALOG
from vaebench.data.loading import PIXELS, load
from vaebench.errors import UserError
from vaebench.registry.runs import DataView

DIGITS = DataView(dataset="digits-28x28", pixels="real")
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
