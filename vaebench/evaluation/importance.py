"""The likelihood of test data by importance sampling from q(z|x): DU-VAE, Tables 1 and S1."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from vaebench.data.dataset import Dataset, Split, TextSplit
from vaebench.errors import UserError
from vaebench.evaluation import Value, evaluator
from vaebench.models.divergence import log_ratio
from vaebench.models.latent import LatentModel
from vaebench.models.posteriors import DeltaPosterior, Posterior

_IMAGES, _SENTENCES = 50, 20
# What is decoded at a time: more samples take more time, not more memory.
_DECODED, _DECODED_ELSEWHERE = 250 * 784, 5_000 * 784  # pixels
_CODES = 10_000  # for sentences, which their decoder scores in chunks of its own


@evaluator
@torch.no_grad()
def importance_weighted(model: LatentModel, data: Dataset, *, samples: int) -> dict[str, Value]:
    """`nll`: the mean over the test set of -log (1/S) sum_s p(x, z_s) / q(z_s|x), in nats an image
    or a sentence.

    Above the negative log-likelihood in expectation, the less so the more samples; None for a
    deterministic encoder. How the data and the samples are cut into chunks decides which noise a
    sample gets, and nothing else.
    """
    if isinstance(samples, bool) or not isinstance(samples, int) or samples < 1:
        raise UserError(
            f"importance_weighted: samples is {samples!r}; expected a whole number from 1"
        )
    total = 0.0
    for index in _batches(data.test):
        x = data.test.take(index).x
        posterior = model.infer(x)
        if isinstance(posterior, DeltaPosterior):
            return {"nll": None}
        total += float(_log_likelihoods(model, posterior, x, samples).sum())
    return {"nll": -total / len(data.test)}


def _batches(split: Split) -> Sequence[Tensor]:
    """Indices of what is encoded together: images in their order, sentences of equal length."""
    if isinstance(split, TextSplit):
        return split.buckets(_SENTENCES)
    return torch.split(torch.arange(len(split), device=split.labels.device), _IMAGES)


@torch.no_grad()
def importance_log_likelihoods(model: LatentModel, x: Tensor, samples: int) -> Tensor:
    """log (1/S) sum_s p(x, z_s) / q(z_s|x) of each image or sentence of x, in nats, float64 [B]."""
    return _log_likelihoods(model, model.infer(x), x, samples)


def _log_likelihoods(model: LatentModel, posterior: Posterior, x: Tensor, samples: int) -> Tensor:
    most = _DECODED if x.device.type == "cpu" else _DECODED_ELSEWHERE
    chunk = max(1, most // x.numel() if x.is_floating_point() else _CODES // len(x))
    left = samples
    sums = torch.full((len(x),), -math.inf, dtype=torch.float64, device=x.device)
    while left > 0:
        draws = posterior.draw(min(chunk, left))
        log_px = model.decoder.log_prob(x, draws.z)
        log_weights = log_px.double() - log_ratio(model.prior, draws).double()
        sums = torch.logaddexp(sums, log_weights.logsumexp(0))
        left -= len(log_weights)
    return sums - math.log(samples)
