"""From the data folder to tensors: the view of a data set that a run sees."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vaebench.data import (
    celeba,
    cifar,
    digits,
    draws,
    faces,
    idx,
    omniglot,
    shapes,
    strokes,
    texts,
    tokens,
)
from vaebench.data.assets import Entry
from vaebench.data.catalog import lookup
from vaebench.data.checksums import expected_sha256
from vaebench.data.corpora import Corpus
from vaebench.data.dataset import PIXELS, DataInfo, Dataset, ImageSplit, Split, real
from vaebench.data.folder import fetch_command, stored_path
from vaebench.data.tokenizers import Tokenizer
from vaebench.data.views import copies, split_sizes
from vaebench.data.vocabularies import checked_words, note_first_use
from vaebench.data.weights import weights_path
from vaebench.errors import UserError
from vaebench.registry.canonical import canonical
from vaebench.registry.runs import DataView

Parts = Mapping[str, NDArray[Any]]

_LIMIT_SEED = 20_260_102
_HELD_OUT_SEED = 20_260_110
_BINARY_SEEDS = {"validation": 20_260_111, "test": 20_260_112}
_HALF = 128  # the least value that is half of 255 or more


# The sets made in code; all others are read from their files.
MAKERS: dict[str, Callable[[], Parts]] = {
    "digits-28x28": digits.make,
    "faces-64x64": faces.make,
    "shapes-32x32": shapes.make,
    "strokes-28x28": strokes.make,
}


def load(view: DataView, folder: Path) -> Dataset:
    """The data of a view, from the files in `folder` (or from code), each checked as it is read."""
    entry = lookup(view.dataset)
    return (_load_text if entry.is_text else _load_images)(entry, view, folder)


def _load_images(entry: Entry, view: DataView, folder: Path) -> Dataset:
    sizes = split_sizes(view)
    parts = MAKERS[entry.name]() if entry.made_in_code else _read(entry, folder)
    if view.held_out is not None:
        parts = _held_out(parts, view.held_out, entry)
    splits = {name: _split(parts, name, entry, view, size) for name, size in sizes.items()}
    groups = parts.get("class-groups")
    class_groups = None if groups is None else torch.from_numpy(groups.astype(np.int64))
    others = {} if class_groups is None else {"class groups": class_groups}
    if view.pixels == "symmetric":  # nothing but its name tells it from the real one
        others["pixels"] = torch.frombuffer(bytearray(b"symmetric"), dtype=torch.uint8)
    sha256 = _sha256(splits, others)
    info = replace(_info(entry, splits), shape=tuple(splits["train"].images.shape[1:]))
    return _dataset(splits, info, sha256, folder, class_groups=class_groups)


def _load_text(entry: Entry, view: DataView, folder: Path) -> Dataset:
    if not entry.made_in_code:
        _require(entry, folder)
    if view.tokenizer is not None and view.tokenizer.vocabulary is not None:
        note_first_use(view.tokenizer.vocabulary, folder)
    sizes, cache = split_sizes(view), folder / entry.name / "cache"
    corpora = texts.corpora(entry, folder)
    if view.held_out is not None:
        corpora = _held_out_sentences(corpora, view.held_out, entry)
    splits, tokenizer = tokens.tokenized(
        corpora, view.tokenizer, entry.words, None if entry.made_in_code else cache
    )
    if view.limit is not None:
        splits = {
            name: split.some(torch.from_numpy(_drawn(split.labels.numpy(), sizes[name], entry)))
            for name, split in splits.items()
        }
    splits = {name: splits[name] for name in sizes}
    vocabulary = torch.frombuffer(bytearray(tokenizer.identity), dtype=torch.uint8)
    sha256 = _sha256(splits, {"tokenizer": vocabulary})
    longest = max(int(split.lengths.max()) for split in splits.values())
    info = replace(_info(entry, splits), vocabulary=tokenizer.size, longest=longest)
    return _dataset(splits, info, sha256, folder, tokenizer=tokenizer)


def _info(entry: Entry, splits: Mapping[str, Split]) -> DataInfo:
    return DataInfo(
        name=entry.name,
        kind=entry.kind,
        shape=entry.shape,
        classes=entry.classes,
        train_size=len(splits["train"]),
        test_size=len(splits["test"]),
        validation_size=len(splits["validation"]) if "validation" in splits else 0,
        attributes=entry.attributes,
    )


def _dataset(
    splits: Mapping[str, Split],
    info: DataInfo,
    sha256: str,
    folder: Path,
    *,
    class_groups: Tensor | None = None,
    tokenizer: Tokenizer | None = None,
) -> Dataset:
    return Dataset(
        splits["train"],
        splits["test"],
        info,
        sha256,
        splits.get("validation"),
        folder / info.name / "cache" / sha256[:16],
        class_groups,
        tokenizer,
    )


class Views:
    """Loads views from a data folder and keeps the last few, so that runs on one view share it."""

    def __init__(self, folder: Path, keep: int = 4) -> None:
        self.folder, self._keep = folder, keep
        self._loaded: dict[str, Dataset] = {}

    def require(self, views: Iterable[DataView]) -> None:
        """UserError with the ways out unless the files of every view are there, and vocabularies
        are such; loads no data."""
        wanted = list(views)
        for name in dict.fromkeys(view.dataset for view in wanted):
            entry = lookup(name)
            if not entry.made_in_code:
                _require(entry, self.folder)
        chosen = [view.tokenizer.vocabulary for view in wanted if view.tokenizer is not None]
        for vocabulary in dict.fromkeys(filter(None, chosen)):
            checked_words(vocabulary, self.folder)

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
    cut = dict(parts)
    train, validation = _kept_and_held_out(len(parts["train-labels"]), count, entry)
    for what in ("images", "labels"):
        whole = parts[f"train-{what}"]
        cut[f"train-{what}"], cut[f"validation-{what}"] = whole[train], whole[validation]
    return cut


def _held_out_sentences(
    corpora: Mapping[str, Corpus], count: int, entry: Entry
) -> dict[str, Corpus]:
    """The same of sentences."""
    whole = corpora["train"]
    kept = _kept_and_held_out(len(whole), count, entry)
    places = np.arange(len(whole))
    train, validation = (whole.some(places[part]) for part in kept)
    return {"train": train, "validation": validation, "test": corpora["test"]}


Places = slice | draws.Index


def _kept_and_held_out(size: int, count: int, entry: Entry) -> tuple[Places, Places]:
    """Which training examples stay and which become the validation split."""
    if not entry.in_order_of_class:
        return slice(size - count), slice(size - count, size)
    validation = draws.drawn(size, count, _HELD_OUT_SEED)
    return np.delete(np.arange(size), validation), validation


def _drawn(labels: NDArray[Any], size: int, entry: Entry) -> draws.Index:
    """Which examples a limit leaves."""
    if entry.classes:
        return draws.balanced(labels, size, _LIMIT_SEED)
    return draws.drawn(len(labels), size, _LIMIT_SEED)


def _split(parts: Parts, name: str, entry: Entry, view: DataView, size: int) -> ImageSplit:
    images, labels = parts[f"{name}-images"], parts[f"{name}-labels"]
    whole, times = len(labels), copies(view, name)
    places, pixels = np.arange(whole), PIXELS[view.pixels]
    if view.limit is not None:  # before anything is read of images that lie in a mapped file
        places = _drawn(labels, size // times, entry)
        images, labels = images[places], labels[places]
    if view.pixels == "thresholded":
        images = np.where(images >= _HALF, np.uint8(255), np.uint8(0))
    if view.pixels == "binary" and name != "train":
        seed, pixels = _BINARY_SEEDS[name], real
        images = np.concatenate(
            [draws.binarised(images, places + copy * whole, seed) for copy in range(times)]
        )
    shown = torch.from_numpy(images).view(-1, *entry.shape)
    return ImageSplit(
        images=shown if view.orientation is None else shown.mT.contiguous(),
        labels=torch.from_numpy(np.concatenate([labels.astype(np.int64)] * times)),
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
    "records": cifar.read,
    "chardata": omniglot.read_chardata,
    "drawings": omniglot.read_drawings,
}


def _require(entry: Entry, folder: Path) -> None:
    """A UserError with the ways out unless every file of the data set is there."""
    missing = [file for file in entry.files if not stored_path(entry, file, folder).exists()]
    if not missing or entry.lies_in:  # a user's own are named when they are read
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


def _sha256(splits: Mapping[str, Split], others: Mapping[str, Tensor]) -> str:
    """The hash of all tensors, each after a line with its name, type and shape.

    The validation split comes last, so that a view without one has the hash of its two splits.
    """
    digest = hashlib.sha256()
    order = [name for name in ("train", "test", "validation") if name in splits]
    named = {
        f"{name} {what}": tensor for name in order for what, tensor in splits[name].tensors.items()
    }
    for name, tensor in {**named, **others}.items():
        array = tensor.contiguous().numpy()
        array = array.astype(array.dtype.newbyteorder("<"), copy=False)
        digest.update(f"{name} {array.dtype.name} {array.shape}\n".encode())
        digest.update(array.data)
    return digest.hexdigest()
