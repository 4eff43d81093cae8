"""What the papers' ways of training images share."""

from collections.abc import Iterator
from typing import Any

from torch import Tensor
from torch.utils.data import DataLoader


def endlessly(loader: DataLoader[Any]) -> Iterator[Tensor]:
    """The batches of a loader of one tensor, epoch after epoch."""
    while True:
        for (x,) in loader:
            yield x
