"""Passes over a split in chunks; the chunk size changes nothing but rounding."""

from collections.abc import Iterator

import torch
from torch import Tensor

from vaebench.data.loading import Batch, Split
from vaebench.models.latent import LatentModel

CHUNK = 2_000


def chunks(split: Split) -> Iterator[Batch]:
    """The split in its own order, CHUNK examples at a time."""
    device = split.labels.device
    for start in range(0, len(split), CHUNK):
        yield split.take(torch.arange(start, min(start + CHUNK, len(split)), device=device))


@torch.no_grad()
def posterior_means(model: LatentModel, split: Split) -> Tensor:
    """The means of q(z|x) of all examples, [N, K]."""
    return torch.cat([model.infer(batch.x).mean for batch in chunks(split)])
