"""What a run trains on."""

from typing import Protocol

from torch import Tensor

from vaebench.data.dataset import Batch


class Examples(Protocol):
    """A split, or what a method makes of one, on the same device."""

    def __len__(self) -> int: ...

    def take(self, index: Tensor) -> Batch:
        """The examples at `index` (int64 [B]); noise in them is from the global generator."""
        ...
