"""KL(q(z|x) || p(z)): a closed form where a pair of types has one, else the mean over draws."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from vaebench.estimators import gaussian
from vaebench.models.parts import Prior
from vaebench.models.posteriors import DeltaPosterior, Draws, GaussianPosterior, Posterior
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


def kl_divergence(posterior: Posterior, prior: Prior, draws: Draws) -> Tensor | None:
    """KL in nats, [B]; None for a delta posterior, which has no density.

    Without a closed form it is log q(z|x) - log p(z), averaged over draws from the posterior.
    """
    if isinstance(posterior, DeltaPosterior):
        return None
    closed_form = _CLOSED_FORMS.get((type(posterior), type(prior)))
    if closed_form is not None:
        return closed_form(posterior, prior)
    return log_ratio(prior, draws).mean(dim=0)


def kl_by_dimension(posterior: Posterior, prior: Prior, draws: Draws) -> Tensor:
    """What every dimension adds to `kl_divergence`, in nats, [B, K].

    TypeError for a delta posterior, and for a prior whose dimensions depend on one another.
    """
    if isinstance(posterior, GaussianPosterior) and isinstance(prior, StandardGaussian):
        return gaussian.kl_to_standard_by_dimension(posterior.mean, posterior.log_variance)
    ratio = draws.log_prob_by_dimension() - prior.log_prob_by_dimension(draws.z)
    return ratio.mean(dim=0)


def log_ratio(prior: Prior, draws: Draws) -> Tensor:
    """log q(z|x) - log p(z) in nats, [S, B]."""
    return draws.log_prob() - prior.log_prob(draws.z)


@register_kl(GaussianPosterior, StandardGaussian)
def _gaussian_standard(posterior: GaussianPosterior, prior: StandardGaussian) -> Tensor:
    return gaussian.kl_to_standard(posterior.mean, posterior.log_variance)
