"""From the data folder to tensors: the view of a data set that a run sees."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaebench.data import celeba, digits, draws, faces, idx, omniglot, strokes
from vaebench.data.assets import Entry, Kind
from vaebench.data.catalog import lookup
from vaebench.data.checksums import expected_sha256
from vaebench.data.folder import fetch_command, stored_path
from vaebench.data.views import split_sizes
from vaebench.data.weights import weights_path
from vaebench.errors import UserError
from vaebench.registry.canonical import canonical
from vaebench.registry.runs import DataView

Parts = Mapping[str, NDArray[Any]]
Pixels = Callable[[Tensor], Tensor]

_LIMIT_SEED = 20_260_102
_HELD_OUT_SEED = 20_260_110
_BINARY_SEEDS = {"validation": 20_260_111, "test": 20_260_112}


def real(images: Tensor) -> Tensor:
    """Grey values in [0, 1]: float32 from uint8."""
    return images.to(torch.float32).div_(255)


def bernoulli(images: Tensor) -> Tensor:
    """0 or 1, 1 with probability grey / 255, drawn by the global generator of the device."""
    return torch.randint_like(images, 255).lt(images).to(torch.float32)


# How a view shows the stored pixels of training images, from uint8 [B,C,H,W] to float32; unset
# means real. Those of other splits are shown as they are stored, and binary ones stored as drawn.
PIXELS: dict[str | None, Pixels] = {None: real, "real": real, "binary": bernoulli}

# The sets made in code; all others are read from their files.
MAKERS: dict[str, Callable[[], Parts]] = {
    "digits-28x28": digits.make,
    "faces-64x64": faces.make,
    "strokes-28x28": strokes.make,
}


@dataclass(frozen=True)
class Batch:
    """Some examples: `x` float32 [B,C,H,W], `y` int64 [B], or [B,A] for attributes."""

    x: Tensor
    y: Tensor


@dataclass(frozen=True)
class Split:
    """All examples of a split on one device: `images` uint8 [N,C,H,W].

    `labels` is int64: classes [N], or attributes 0 and 1 [N,A].
    """

    images: Tensor
    labels: Tensor
    pixels: Pixels = real

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device | str) -> "Split":
        """The same split on another device."""
        return replace(self, images=self.images.to(device), labels=self.labels.to(device))

    def take(self, index: Tensor) -> Batch:
        """The examples at `index` (int64 [B], on the same device)."""
        images = self.images.index_select(0, index)
        return Batch(self.pixels(images), self.labels.index_select(0, index))


@dataclass(frozen=True)
class DataInfo:
    """What a model must know of its data; the sizes are those of the view.

    `shape` is (C,H,W). A set has `classes` or `attributes`; the other of them is 0.
    """

    name: str
    kind: Kind
    shape: tuple[int, ...]
    classes: int
    train_size: int
    test_size: int
    validation_size: int = 0
    attributes: int = 0


@dataclass(frozen=True)
class Dataset:
    """A view of a data set; `sha256` is that of its tensors, so of what a run really sees.

    `cache` is a folder, perhaps not yet there, for what is computed once from these tensors.
    `class_groups` int64 [classes] is the group of every class, such as the alphabet of a
    character, where classes come in groups.
    """

    train: Split
    test: Split
    info: DataInfo
    sha256: str
    validation: Split | None = None
    cache: Path | None = None
    class_groups: Tensor | None = None

    def to(self, device: torch.device | str) -> "Dataset":
        """The same data on another device."""
        return replace(
            self,
            train=self.train.to(device),
            test=self.test.to(device),
            validation=None if self.validation is None else self.validation.to(device),
            class_groups=None if self.class_groups is None else self.class_groups.to(device),
        )


def load(view: DataView, folder: Path) -> Dataset:
    """The data of a view, from the files in `folder` (or from code), each checked as it is read."""
    entry, sizes = lookup(view.dataset), split_sizes(view)
    parts = MAKERS[entry.name]() if entry.made_in_code else _read(entry, folder)
    if view.held_out is not None:
        parts = _held_out(parts, view.held_out, entry)
    splits = {name: _split(parts, name, entry, view, size) for name, size in sizes.items()}
    train, test, validation = splits["train"], splits["test"], splits.get("validation")
    info = DataInfo(
        name=entry.name,
        kind=entry.kind,
        shape=entry.shape,
        classes=entry.classes,
        train_size=len(train),
        test_size=len(test),
        validation_size=sizes.get("validation", 0),
        attributes=entry.attributes,
    )
    groups = parts.get("class-groups")
    class_groups = None if groups is None else torch.from_numpy(groups.astype(np.int64))
    # In this order, so that a view without validation has the hash of its two splits alone.
    sha256 = _sha256({"train": train, "test": test, **splits}, class_groups)
    cache = folder / entry.name / "cache" / sha256[:16]
    return Dataset(train, test, info, sha256, validation, cache, class_groups)


class Views:
    """Loads views from a data folder and keeps the last few, so that runs on one view share it."""

    def __init__(self, folder: Path, keep: int = 4) -> None:
        self.folder, self._keep = folder, keep
        self._loaded: dict[str, Dataset] = {}

    def require(self, views: Iterable[DataView]) -> None:
        """UserError with the ways out unless the files of every view are there; loads nothing."""
        for name in dict.fromkeys(view.dataset for view in views):
            entry = lookup(name)
            if not entry.made_in_code:
                _require(entry, self.folder)

    def weights(self, name: str) -> Path:
        """The checked file of a trained network; UserError if it is not there."""
        path = weights_path(name, self.folder)
        if path is None:
            raise UserError(f"the weights {name} are not in {self.folder}")
        return path

    def load(self, view: DataView) -> Dataset:
        """The data of a view, from memory if it was among the last ones."""
        key = canonical(view.model_dump(exclude_none=True))
        data = self._loaded.pop(key, None) or load(view, self.folder)
        self._loaded[key] = data
        while len(self._loaded) > self._keep:
            del self._loaded[next(iter(self._loaded))]
        return data


def _held_out(parts: Parts, count: int, entry: Entry) -> Parts:
    """The parts with `count` training images as validation: the last, or a draw in their order."""
    cut, size = dict(parts), len(parts["train-labels"])
    train: slice | draws.Index = slice(size - count)
    validation: slice | draws.Index = slice(size - count, size)
    if entry.in_order_of_class:
        validation = draws.drawn(size, count, _HELD_OUT_SEED)
        train = np.delete(np.arange(size), validation)
    for what in ("images", "labels"):
        whole = parts[f"train-{what}"]
        cut[f"train-{what}"], cut[f"validation-{what}"] = whole[train], whole[validation]
    return cut


def _split(parts: Parts, name: str, entry: Entry, view: DataView, size: int) -> Split:
    images, labels = parts[f"{name}-images"], parts[f"{name}-labels"]
    places, pixels = np.arange(len(labels)), PIXELS[view.pixels]
    if view.limit is not None:  # before anything is read of images that lie in a mapped file
        if entry.classes:
            places = draws.balanced(labels, size, _LIMIT_SEED)
        else:
            places = draws.drawn(len(labels), size, _LIMIT_SEED)
        images, labels = images[places], labels[places]
    if view.pixels == "binary" and name != "train":
        images, pixels = draws.binarised(images, places, _BINARY_SEEDS[name]), real
    return Split(
        images=torch.from_numpy(images).view(-1, *entry.shape),
        labels=torch.from_numpy(labels.astype(np.int64)),
        pixels=pixels,
    )


def _read(entry: Entry, folder: Path) -> Parts:
    _require(entry, folder)
    return READERS[entry.format](entry, folder)


def _read_idx(entry: Entry, folder: Path) -> Parts:
    """The parts of a data set of idx files: images [N,28,28] and labels [N]."""
    mend = f"`{fetch_command(entry, folder)}` fetches it again"
    parts = {}
    for file in entry.files:
        path = stored_path(entry, file, folder)
        split, _, what = file.part.partition("-")
        size = entry.splits[split]
        shape = (size, *entry.shape[1:]) if what == "images" else (size,)
        content = idx.content(path, shape, mend)
        parts[file.part] = idx.parse(content, path, shape, mend)
        expected, found = (
            expected_sha256(entry, file, folder),
            hashlib.sha256(content.data).hexdigest(),
        )
        if expected not in (None, found):
            raise UserError(f"{path}: expected sha256 {expected}, found {found}; {mend}")
    return parts


# How the files of a data set are read, by their format.
READERS: dict[str, Callable[[Entry, Path], Parts]] = {
    "idx": _read_idx,
    "celeba": celeba.read,
    "chardata": omniglot.read_chardata,
    "drawings": omniglot.read_drawings,
}


def _require(entry: Entry, folder: Path) -> None:
    """A UserError with the ways out unless every file of the data set is there."""
    missing = [file for file in entry.files if not stored_path(entry, file, folder).exists()]
    if not missing:
        return
    what = f"the data set {entry.name} is not in {folder}"
    if len(missing) < len(entry.files):
        names = ", ".join(file.name for file in missing)
        what = f"the data set {entry.name} in {folder} lacks {names}"
    command = fetch_command(entry, folder)
    raise UserError(
        f"{what}\n`{command}` downloads it, `{command} --from DIR` takes files you have, "
        "and `--scale smoke` needs no data"
    )


def _sha256(splits: Mapping[str, Split], class_groups: Tensor | None) -> str:
    """The hash of all tensors, each after a line with its name, type and shape."""
    tensors: dict[str, Tensor] = {}
    for name, split in splits.items():
        tensors |= {f"{name} images": split.images, f"{name} labels": split.labels}
    if class_groups is not None:
        tensors["class groups"] = class_groups
    digest = hashlib.sha256()
    for name, tensor in tensors.items():
        array = tensor.contiguous().numpy()
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        digest.update(f"{name} {array.dtype.name} {array.shape}\n".encode())
        digest.update(array.data)
    return digest.hexdigest()
