"""When a training step happens, for objectives that change over time."""

from typing import NamedTuple

import torch
from torch import Tensor


class Clock(NamedTuple):
    """`step` (int64) counts from 1; `epochs` (float64) is what its end is in epochs, step * B / N.

    0-dim tensors on the CPU: a number would be compiled anew in every step.
    """

    step: Tensor
    epochs: Tensor

    @classmethod
    def at(cls, step: int, batch_size: int, size: int) -> "Clock":
        """At a step over `size` examples in batches."""
        epochs = torch.tensor(step * batch_size / size, dtype=torch.float64)
        return cls(torch.tensor(step), epochs)
