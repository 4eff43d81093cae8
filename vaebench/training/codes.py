"""Codes of a trained model as training data."""

from dataclasses import dataclass

import torch
from torch import Tensor

from vaebench.data.dataset import Batch


@dataclass(frozen=True)
class Codes:
    """Gaussian posteriors of all examples of a split: `mean` and `std` [N, K], `labels` [N].

    Every `take` draws z anew, so it is another one in every epoch. Without `std`, as of a
    deterministic encoder, z is the mean.
    """

    mean: Tensor
    std: Tensor | None
    labels: Tensor

    def __len__(self) -> int:
        return len(self.mean)

    def take(self, index: Tensor) -> Batch:
        """Codes z [B, K] at `index` as `x`."""
        z = self.mean[index]
        if self.std is not None:
            z = z + self.std[index] * torch.randn_like(z)
        return Batch(z, self.labels[index])
