"""The likelihood of test data by importance sampling from q(z|x): DU-VAE, Tables 1 and S1, MAE,
Tables 1, 3 and 4."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from vaebench.data.dataset import Dataset, Split, TextSplit
from vaebench.evaluation import Value, evaluator
from vaebench.evaluation.checks import check_whole
from vaebench.models.divergence import log_ratio
from vaebench.models.latent import LatentModel
from vaebench.models.posteriors import DeltaPosterior, Posterior

_IMAGES, _SENTENCES = 50, 32  # DU-VAE's in training: refined posteriors hang on the others' number
# What is decoded at a time: more samples take more time, not more memory.
_DECODED, _DECODED_ELSEWHERE = 250 * 784, 5_000 * 784  # pixels
_CODES = 10_000  # for sentences, which their decoder scores in chunks of its own


@evaluator
@torch.no_grad()
def importance_weighted(model: LatentModel, data: Dataset, *, samples: int) -> dict[str, Value]:
    """`nll`: the mean over the test set of -log (1/S) sum_s p(x, z_s) / q(z_s|x), in nats an image
    or a sentence; `bits_per_dim`: the same in bits a channel of a pixel, of images alone. Of the
    same draws `rec`, the mean -log p(x|z), `kl`, the mean log q(z|x) - log p(z), and their sum
    `negative_elbo`, in nats.

    `nll` is above the negative log-likelihood in expectation, the less so the more samples; a
    deterministic encoder has None of all this. How the data and the samples are cut into chunks
    decides which noise a sample gets, and nothing else but refined posteriors.
    """
    check_whole("importance_weighted", 1, samples=samples)
    nll = rec = kl = 0.0
    for index in _batches(data.test):
        x = data.test.take(index).x
        posterior = model.infer(x)
        if isinstance(posterior, DeltaPosterior):
            return dict.fromkeys(("nll", "bits_per_dim", "rec", "kl", "negative_elbo"))
        found = _estimates(model, posterior, x, samples)
        nll -= float(found.log_likelihood.sum())
        rec -= float(found.log_px.sum())
        kl += float(found.log_ratio.sum())
    size, dimensions = len(data.test), math.prod(data.info.shape)
    nll, rec, kl = nll / size, rec / size, kl / size
    return {
        "nll": nll,
        "bits_per_dim": nll / (dimensions * math.log(2)) if data.info.shape else None,
        "rec": rec,
        "kl": kl,
        "negative_elbo": rec + kl,
    }


def _batches(split: Split) -> Sequence[Tensor]:
    """Indices of what is encoded together: images in their order, sentences of equal length."""
    if isinstance(split, TextSplit):
        return split.buckets(_SENTENCES)
    return torch.split(torch.arange(len(split), device=split.labels.device), _IMAGES)


@torch.no_grad()
def importance_log_likelihoods(model: LatentModel, x: Tensor, samples: int) -> Tensor:
    """log (1/S) sum_s p(x, z_s) / q(z_s|x) of each image or sentence of x, in nats, float64 [B]."""
    return _estimates(model, model.infer(x), x, samples).log_likelihood


class _Estimates(NamedTuple):
    """Of each of B data, in nats, float64 [B]: log (1/S) sum_s p(x, z_s) / q(z_s|x), and the means
    over s of log p(x|z_s) and of log q(z_s|x) - log p(z_s)."""

    log_likelihood: Tensor
    log_px: Tensor
    log_ratio: Tensor


def _estimates(model: LatentModel, posterior: Posterior, x: Tensor, samples: int) -> _Estimates:
    most = _DECODED if x.device.type == "cpu" else _DECODED_ELSEWHERE
    chunk = max(1, most // x.numel() if x.is_floating_point() else _CODES // len(x))
    left = samples
    sums = torch.full((len(x),), -math.inf, dtype=torch.float64, device=x.device)
    log_px, ratio = torch.zeros_like(sums), torch.zeros_like(sums)
    while left > 0:
        draws = posterior.draw(min(chunk, left))
        some_px = model.decoder.log_prob(x, draws.z).double()
        some_ratios = log_ratio(model.prior, draws).double()
        sums = torch.logaddexp(sums, (some_px - some_ratios).logsumexp(0))
        log_px += some_px.sum(0)
        ratio += some_ratios.sum(0)
        left -= len(some_px)
    return _Estimates(sums - math.log(samples), log_px / samples, ratio / samples)
