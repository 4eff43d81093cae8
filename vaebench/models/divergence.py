"""KL(q(z|x) || p(z)): a closed form where a pair of types has one, else one draw a datum."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from vaebench.estimators import gaussian
from vaebench.models.parts import Prior
from vaebench.models.posteriors import DeltaPosterior, GaussianPosterior, Posterior
from vaebench.models.priors import StandardGaussian

_CLOSED_FORMS: dict[tuple[type, type], Callable[[Any, Any], Tensor]] = {}


def register_kl(
    posterior: type, prior: type
) -> Callable[[Callable[[Any, Any], Tensor]], Callable[[Any, Any], Tensor]]:
    """Register a closed form for a pair of types, as torch.distributions.kl does."""

    def decorate(function: Callable[[Any, Any], Tensor]) -> Callable[[Any, Any], Tensor]:
        _CLOSED_FORMS[posterior, prior] = function
        return function

    return decorate


def kl_divergence(posterior: Posterior, prior: Prior, z: Tensor) -> Tensor | None:
    """KL in nats, [B]; None for a delta posterior, which has no density.

    Without a closed form it is log q(z|x) - log p(z), averaged over the given draws z [S, B, K].
    """
    if isinstance(posterior, DeltaPosterior):
        return None
    closed_form = _CLOSED_FORMS.get((type(posterior), type(prior)))
    if closed_form is not None:
        return closed_form(posterior, prior)
    return log_ratio(posterior, prior, z).mean(dim=0)


def log_ratio(posterior: Any, prior: Prior, z: Tensor) -> Tensor:
    """log q(z|x) - log p(z) in nats: [S, B, K] -> [S, B]."""
    ratio: Tensor = posterior.log_prob(z) - prior.log_prob(z)
    return ratio


@register_kl(GaussianPosterior, StandardGaussian)
def _gaussian_standard(posterior: GaussianPosterior, prior: StandardGaussian) -> Tensor:
    return gaussian.kl_to_standard(posterior.mean, posterior.log_variance)
