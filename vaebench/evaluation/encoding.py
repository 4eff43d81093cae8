"""Passes over a split in chunks; the chunk size changes nothing but rounding."""

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from vaebench.data.dataset import Batch, Split, TextSplit
from vaebench.errors import UserError
from vaebench.models.latent import LatentModel
from vaebench.models.posteriors import DeltaPosterior, GaussianPosterior

CHUNK = 2_000
_SENTENCES = 200
_MNIST_PIXELS = 784


def chunk_size(shape: Sequence[int]) -> int:
    """CHUNK for images up to MNIST's size, fewer for larger ones, whose layers take more memory."""
    return max(1, min(CHUNK, CHUNK * _MNIST_PIXELS // math.prod(shape)))


def chunks(split: Split) -> Iterator[Batch]:
    """All of a split: images in their order, `chunk_size` at a time, sentences by length."""
    for index in chunk_indices(split):
        yield split.take(index)


def chunk_indices(split: Split) -> Sequence[Tensor]:
    """Where in the split the examples of `chunks` lie."""
    if isinstance(split, TextSplit):
        return split.buckets(_SENTENCES)
    everything = torch.arange(len(split), device=split.labels.device)
    return torch.split(everything, chunk_size(split.tensors["images"].shape[1:]))


def in_order(parts: Sequence[Tensor], split: Split) -> Tensor:
    """What was found of `chunks`, in the order of the data."""
    found = torch.cat(list(parts))
    ordered = torch.empty_like(found)
    ordered[torch.cat(list(chunk_indices(split))).to(found.device)] = found
    return ordered


@torch.no_grad()
def posterior_means(model: LatentModel, split: Split) -> Tensor:
    """The means of q(z|x) of all examples, [N, K]."""
    return in_order([model.infer(batch.x).mean for batch in chunks(split)], split)


@torch.no_grad()
def posterior_features(model: LatentModel, split: Split) -> Tensor:
    """What a classifier sees of all examples, [N, F]."""
    return in_order([model.infer(batch.x).features for batch in chunks(split)], split)


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
        return DeltaPosterior(in_order(means, split))
    return GaussianPosterior(in_order(means, split), in_order(log_variances, split))


@torch.no_grad()
def sampled_features(model: LatentModel, split: Split, draws: int) -> Tensor:
    """The mean of so many draws from q(z|x) of all examples, [N, K]; of none, that of q(z|x).

    The draws do not depend on the chunks.
    """
    if draws == 0:
        return posterior_means(model, split)
    posterior = posteriors(model, split)
    total = torch.zeros_like(posterior.mean)
    for _ in range(draws):  # one at a time: all at once are as many times the memory
        total += posterior.rsample(1)[0]
    return total / draws


def decoding_size(shape: Sequence[int]) -> int:
    """How many images of a shape to decode at a time: smaller chunks stay in the cache."""
    return max(1, chunk_size(shape) // 8)


@torch.no_grad()
def decodings(model: LatentModel, z: Tensor, shape: Sequence[int]) -> Iterator[Tensor]:
    """E[x|z] of codes [N, K], `decoding_size` images at a time."""
    for codes in torch.split(z.float(), decoding_size(shape)):
        yield model.decoder.mean(codes)
