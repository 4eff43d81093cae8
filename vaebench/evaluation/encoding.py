"""Passes over a split in chunks; the chunk size changes nothing but rounding."""

from collections.abc import Iterator

import torch
from torch import Tensor

from vaebench.data.loading import Batch, Split
from vaebench.models.latent import LatentModel
from vaebench.models.posteriors import GaussianPosterior
from vaebench.training.codes import Codes

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


@torch.no_grad()
def codes(model: LatentModel, split: Split) -> Codes:
    """The posteriors of all examples, encoded once."""
    means, deviations = [], []
    for batch in chunks(split):
        posterior = model.infer(batch.x)
        means.append(posterior.mean)
        if isinstance(posterior, GaussianPosterior):
            deviations.append(posterior.variance.sqrt())
    std = torch.cat(deviations) if deviations else None
    return Codes(torch.cat(means), std, split.labels)
