"""Passes over a split in chunks; the chunk size changes nothing but rounding."""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from vaebench.data.loading import Batch, Split
from vaebench.errors import UserError
from vaebench.models.latent import LatentModel
from vaebench.models.posteriors import DeltaPosterior, GaussianPosterior

CHUNK = 2_000
_MNIST_PIXELS = 784


def chunk_size(shape: Sequence[int]) -> int:
    """CHUNK for images up to MNIST's size, fewer for larger ones, whose layers take more memory."""
    return max(1, min(CHUNK, CHUNK * _MNIST_PIXELS // math.prod(shape)))


def chunks(split: Split) -> Iterator[Batch]:
    """The split in its own order, `chunk_size` examples at a time."""
    everything = torch.arange(len(split), device=split.labels.device)
    for index in torch.split(everything, chunk_size(split.images.shape[1:])):
        yield split.take(index)


@torch.no_grad()
def posterior_means(model: LatentModel, split: Split) -> Tensor:
    """The means of q(z|x) of all examples, [N, K]."""
    return torch.cat([model.infer(batch.x).mean for batch in chunks(split)])


@torch.no_grad()
def posteriors(model: LatentModel, split: Split) -> GaussianPosterior | DeltaPosterior:
    """q(z|x) of all examples as one posterior in float64; its draws do not depend on the chunks."""
    means, log_variances = [], []
    for batch in chunks(split):
        posterior = model.infer(batch.x)
        means.append(posterior.mean.double())
        if isinstance(posterior, GaussianPosterior):
            log_variances.append(posterior.log_variance.double().expand_as(posterior.mean))
        elif not isinstance(posterior, DeltaPosterior):
            raise UserError("this evaluation is for Gaussian and deterministic encoders, not flows")
    if not log_variances:
        return DeltaPosterior(torch.cat(means))
    return GaussianPosterior(torch.cat(means), torch.cat(log_variances))


def decoding_size(shape: Sequence[int]) -> int:
    """How many images of a shape to decode at a time: smaller chunks stay in the cache."""
    return max(1, chunk_size(shape) // 8)


@torch.no_grad()
def decodings(model: LatentModel, z: Tensor, shape: Sequence[int]) -> Iterator[Tensor]:
    """E[x|z] of codes [N, K], `decoding_size` images at a time."""
    for codes in torch.split(z.float(), decoding_size(shape)):
        yield model.decoder.mean(codes)
