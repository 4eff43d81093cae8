"""What DU-VAE's tables say of posteriors, and the diversity and uncertainty that it is about."""

import torch
from torch import Tensor

from vaebench.data.dataset import Dataset, Split, TextSplit
from vaebench.estimators import latents, mutual_information
from vaebench.evaluation import Value, evaluator
from vaebench.evaluation.encoding import chunks, posteriors
from vaebench.models.divergence import kl_divergence, log_ratio
from vaebench.models.flows import FlowHead
from vaebench.models.latent import LatentModel
from vaebench.models.posteriors import GaussianPosterior

_IMAGES, _SENTENCES = 50, 32  # in a minibatch of He et al.


@evaluator
@torch.no_grad()
def latent_statistics(model: LatentModel, data: Dataset, *, threshold: float) -> dict[str, Value]:
    """Over the test set, with one draw z a datum, in nats: `kl` (in closed form where there is one)
    and `mi`, whose reference is the whole set; `mi_minibatch`, whose reference is a minibatch of 50
    images, or of 32 sentences of equal length (He et al., 2019); `au`, dimensions whose mean varies
    by more than `threshold`; `mpd` and `ce`, mean pairwise divergence and conditional entropy
    (DU-VAE, Eq. 3 and 5).

    A deterministic encoder has `au` alone, a flow `kl` alone.
    """
    found: dict[str, Value] = dict.fromkeys(("kl", "mi", "mi_minibatch", "au", "mpd", "ce"))
    if isinstance(model.head, FlowHead):
        return {**found, "kl": _flow_kl(model, data)}
    posterior = posteriors(model, data.test)
    found["au"] = latents.active_units(posterior.mean, threshold)
    if not isinstance(posterior, GaussianPosterior):
        return found
    draws = posterior.draw(1)
    z, means, log_variances = draws.z[0], posterior.mean, posterior.log_variance
    kl = kl_divergence(posterior, model.prior, draws)
    return {
        **found,
        "kl": None if kl is None else float(kl.mean()),
        "mi": mutual_information.latent_form(z, means, log_variances),
        "mi_minibatch": _minibatch_information(data.test, z, means, log_variances),
        "mpd": latents.mean_pairwise_divergence(means, log_variances),
        "ce": latents.conditional_entropy(log_variances),
    }


def _minibatch_information(split: Split, z: Tensor, means: Tensor, log_variances: Tensor) -> float:
    if not isinstance(split, TextSplit):
        return mutual_information.minibatch_latent_form(z, means, log_variances, _IMAGES)
    buckets = split.buckets(_SENTENCES)
    order = torch.cat(buckets).to(z.device)
    return mutual_information.minibatch_latent_form(
        z[order], means[order], log_variances[order], [len(index) for index in buckets]
    )


def _flow_kl(model: LatentModel, data: Dataset) -> float:
    """The mean of log q(z_T|x) - log p(z_T), one draw a datum."""
    total = 0.0
    for batch in chunks(data.test):
        ratio = log_ratio(model.prior, model.infer(batch.x).draw(1))
        total += float(ratio.double().sum())
    return total / len(data.test)
