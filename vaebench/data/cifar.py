"""CIFAR-10's binary version: records of a label and the red, green and blue of an image."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vaebench.data.archives import Members
from vaebench.data.assets import Entry
from vaebench.data.checksums import require_good
from vaebench.data.folder import stored_path
from vaebench.data.placing import Unusable

Bytes = NDArray[np.uint8]


def read(entry: Entry, folder: Path) -> dict[str, Bytes]:
    """The parts: images uint8 [N,3,32,32] and labels [N], of the files in their order."""
    require_good(entry, folder)
    found: dict[str, list[Bytes]] = {split: [] for split in entry.splits}
    for file in entry.files:
        content = np.fromfile(stored_path(entry, file, folder), np.uint8)
        rows = content.reshape(-1, 1 + math.prod(entry.shape))
        found[file.part.partition("-")[0]].append(rows)
    parts = {}
    for split, batches in found.items():
        images = np.concatenate([rows[:, 1:] for rows in batches])
        parts[f"{split}-images"] = images.reshape(-1, *entry.shape)
        parts[f"{split}-labels"] = np.concatenate([rows[:, 0] for rows in batches])
    return parts


def records(path: Path, wanted: Mapping[str, str]) -> Members:
    """The members, by name with the split of which each is the beginning, made of an npz file.

    It holds uint8 `train_images` [n,32,32,3], `train_labels` [n] and `train_indices` [n], which
    count from 0, and the same of `test`. Unusable wherever it does not.
    """
    for member, split in wanted.items():
        images, labels, indices = (
            _array(path, f"{split}_{what}") for what in ("images", "labels", "indices")
        )
        for name, array, axes in (("images", images, 4), ("labels", labels, 1)):
            alike = array.shape[:1] == labels.shape[:1]
            if array.dtype != np.uint8 or array.ndim != axes or not alike:
                told = f"{'x'.join(map(str, array.shape))} of {array.dtype}"
                raise Unusable(f"its {split}_{name} are {told}")
        if not np.array_equal(indices, np.arange(len(labels))):
            raise Unusable(f"its {split}_indices are not those of the first {len(labels):,} images")
        planes = images.transpose(0, 3, 1, 2).reshape(len(images), -1)
        yield member, iter([np.concatenate([labels[:, None], planes], 1).tobytes()])


def _array(path: Path, name: str) -> NDArray[Any]:
    try:
        with np.load(path, allow_pickle=False) as arrays:
            return np.asarray(arrays[name])
    except Exception as error:  # on damaged bytes the reader raises whatever comes
        raise Unusable(f"its {name} cannot be read ({error})") from error
