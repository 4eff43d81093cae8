"""Judges: classifiers whose features stand in for Inception's in Frechet distances.

The distances have names of their own, FD-lenet and FD-attr, and are never compared with FIDs.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vaebench.data.dataset import Batch, DataInfo
from vaebench.methods import method
from vaebench.models.classifiers import pooled, strided
from vaebench.objectives.clock import Clock
from vaebench.training.recipe import Recipe


@method
def lenet(data: DataInfo, *, filters: Sequence[int], features: int) -> Recipe:
    """FD-lenet: two 5x5 convolutions of 32 and 64 filters and 128 features, for classes."""
    _check_sizes(filters, features)
    if data.classes < 2:
        raise ValueError(f"{data.name} has no classes; attributes is the judge for attributes")
    return Recipe(pooled(data.shape, filters, features, data.classes), classification)


@method
def attributes(data: DataInfo, *, filters: Sequence[int]) -> Recipe:
    """FD-attr: four 4x4 convolutions of 32 to 256 filters, the last the features, for attributes
    that are there or not."""
    _check_sizes(filters, 1)
    if data.attributes < 1:
        raise ValueError(f"{data.name} has no attributes; lenet is the judge for classes")
    return Recipe(strided(data.shape, filters, data.attributes), attribution)


def classification(model: nn.Module, batch: Batch, clock: Clock) -> dict[str, Tensor]:
    """The cross-entropy in nats, and the share of right answers in percent."""
    logits = model(batch.x)
    right = (logits.argmax(-1) == batch.y).float().mean()
    return {"loss": F.cross_entropy(logits, batch.y), "accuracy": 100 * right}


def attribution(model: nn.Module, batch: Batch, clock: Clock) -> dict[str, Tensor]:
    """The same for attributes [B, A] of 0 and 1, as means over them."""
    logits = model(batch.x)
    loss = F.binary_cross_entropy_with_logits(logits, batch.y.to(logits.dtype))
    right = ((logits > 0) == (batch.y > 0)).to(torch.float32).mean()
    return {"loss": loss, "accuracy": 100 * right}


def _check_sizes(filters: Sequence[int], features: int) -> None:
    sizes = list(filters) if isinstance(filters, Sequence) else [0]
    for size in (features, *(sizes or [0])):
        if not isinstance(size, int) or size < 1:
            raise ValueError(f"filters is {filters!r}, features {features!r}; expected sizes")
