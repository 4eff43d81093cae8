"""Passes over a split in chunks; the chunk size changes nothing but rounding."""

from collections.abc import Iterator

import torch
from torch import Tensor

from vaebench.data.loading import Batch, Split
from vaebench.models.latent import LatentModel

CHUNK = 2_000


def chunks(split: Split, size: int = CHUNK) -> Iterator[Batch]:
    """The split in its own order, `size` examples at a time."""
    device = split.labels.device
    for start in range(0, len(split), size):
        yield split.take(torch.arange(start, min(start + size, len(split)), device=device))


@torch.no_grad()
def posterior_means(model: LatentModel, split: Split) -> Tensor:
    """The means of q(z|x) of all examples, [N, K]."""
    return torch.cat([model.infer(batch.x).mean for batch in chunks(split)])
