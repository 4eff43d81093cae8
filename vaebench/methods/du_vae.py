"""The methods of DU-VAE: Shen et al., "Regularizing Variational Autoencoder with Diversity and
Uncertainty Awareness" (IJCAI 2021), and those that it is compared with.

`network` is one of vaebench/methods/du_vae_networks.py. `annealing` raises the weight of the KL
from `start` to 1 within `epochs`. Symbols are the paper's: `gamma` scales posterior means, `keep`
is p, the probability that a variance is not dropped.
"""

from collections.abc import Mapping
from typing import Any

from torch import nn

from vaebench.data.dataset import DataInfo
from vaebench.methods import method
from vaebench.methods.du_vae_networks import Network, network_of
from vaebench.models.flows import FlowHead
from vaebench.models.heads import (
    ZERO_ENTROPY_VARIANCE,
    DeltaHead,
    LinearGaussianHead,
    NormalisedMean,
    VarianceDropout,
)
from vaebench.models.refined import RefinedModel, Refinement
from vaebench.objectives.annealed import Annealing, Constant, WeightedElbo
from vaebench.objectives.mutual import MutualPosteriorDivergence
from vaebench.training.aggressive import Aggressive, InnerLoop
from vaebench.training.recipe import Recipe
from vaebench.training.semi_amortised import SemiAmortised

_EPS = 1e-5
_FLOW_EPS = 1e-8  # before a flow, as in the authors' code

Settings = Mapping[str, Any]


@method
def vae(data: DataInfo, *, network: Settings, annealing: Settings) -> Recipe:
    """VAE with KL annealing."""
    net = network_of(network)
    return Recipe(net.model(data, _gaussian(net)), WeightedElbo(Annealing(**annealing)))


@method
def beta_vae(data: DataInfo, *, network: Settings, beta: float) -> Recipe:
    """beta-VAE: a constant weight of the KL. With beta = 0 it is the AE of Table 3, whose codes are
    drawn as ever (Li et al., 2019)."""
    net = network_of(network)
    return Recipe(net.model(data, _gaussian(net)), WeightedElbo(Constant(beta)))


@method
def semi_amortised(
    data: DataInfo, *, network: Settings, annealing: Settings, refinements: int
) -> Recipe:
    """SA-VAE: the posterior of every batch is refined by so many gradient steps."""
    net, weight = network_of(network), Annealing(**annealing)
    refinement = Refinement(
        refinements,
        rate=1.0,
        momentum=0.5,
        clip=5.0,
        batch=net.batch,
        replayed=net.noisy_decoder,
    )
    model = RefinedModel(net.model(data, _gaussian(net), refined=True), refinement)
    return Recipe(model, WeightedElbo(weight), SemiAmortised(weight), compilable=False)


@method
def aggressive(
    data: DataInfo, *, network: Settings, annealing: Settings, inner: Settings
) -> Recipe:
    """Agg-VAE: before every step of the decoder the encoder is trained by an `inner` loop."""
    net = network_of(network)
    procedure = Aggressive(InnerLoop(**inner))
    objective = WeightedElbo(Annealing(**annealing))
    return Recipe(net.model(data, _gaussian(net)), objective, procedure)


@method
def free_bits(data: DataInfo, *, network: Settings, annealing: Settings, bits: float) -> Recipe:
    """FB: the mean KL of a dimension is charged no less than `bits` (lambda), in nats."""
    net = network_of(network)
    objective = WeightedElbo(Annealing(**annealing), free_bits=bits)
    return Recipe(net.model(data, _gaussian(net)), objective)


@method
def delta_vae(data: DataInfo, *, network: Settings, annealing: Settings, delta: float) -> Recipe:
    """delta-VAE: the KL of a dimension is at least `delta`, in nats."""
    net = network_of(network)
    head = DeltaHead(net.features, net.latent, bias=net.bias, delta=delta)
    return Recipe(net.model(data, head), WeightedElbo(Annealing(**annealing)))


@method
def bn_vae(data: DataInfo, *, network: Settings, annealing: Settings, gamma: float) -> Recipe:
    """BN-VAE: posterior means with batch variance gamma^2, fixed, and a trained shift."""
    net = network_of(network)
    head = _gaussian(net, mean=_normalised(net, gamma, "fixed", _EPS))
    return Recipe(net.model(data, head), WeightedElbo(Annealing(**annealing)))


@method
def bn_fixed_shift(
    data: DataInfo, *, network: Settings, annealing: Settings, shift: float
) -> Recipe:
    """BN-VAE the other way round (Tables S1 and S2): batch means fixed at `shift` (beta) in every
    dimension, batch variances trained from 1."""
    net = network_of(network)
    if isinstance(shift, bool) or not isinstance(shift, int | float):
        raise ValueError(f"shift is {shift!r}; expected a number")
    mean = NormalisedMean(net.latent, gamma=1.0, scale="free", shift=shift, eps=_EPS)
    head = _gaussian(net, mean=mean)
    return Recipe(net.model(data, head), WeightedElbo(Annealing(**annealing)))


@method
def mae(
    data: DataInfo, *, network: Settings, annealing: Settings, diversity: float, smoothness: float
) -> Recipe:
    """MAE with a standard Gaussian prior. DU-VAE calls the weight of diversity gamma and that of
    smoothness eta; in the MAE paper the letters are the other way round."""
    net = network_of(network)
    pairs = MutualPosteriorDivergence(diversity, smoothness)
    objective = WeightedElbo(Annealing(**annealing), regulariser=pairs)
    return Recipe(net.model(data, _gaussian(net)), objective)


@method
def du_vae(
    data: DataInfo, *, network: Settings, annealing: Settings, gamma: float, keep: float
) -> Recipe:
    """DU-VAE: normalised means; after the warm-up, dropout on variances, which have a floor."""
    net = network_of(network)
    variance = VarianceDropout(keep, ZERO_ENTROPY_VARIANCE)
    head = _gaussian(net, _normalised(net, gamma, "rescaled", _EPS), variance)
    objective = WeightedElbo(Annealing(**annealing), switch=variance)
    return Recipe(net.model(data, head), objective)


@method
def iaf_free_bits(data: DataInfo, *, network: Settings, annealing: Settings, bits: float) -> Recipe:
    """IAF+FB: an inverse autoregressive flow, and free bits for its dimensions."""
    net = network_of(network)
    objective = WeightedElbo(Annealing(**annealing), free_bits=bits)
    return Recipe(net.model(data, _flow(net)), objective)


@method
def iaf_bn(data: DataInfo, *, network: Settings, annealing: Settings, gamma: float) -> Recipe:
    """IAF+BN: the flow from means with batch variance gamma^2, fixed."""
    net = network_of(network)
    head = _flow(net, mean=_normalised(net, gamma, "fixed", _FLOW_EPS))
    return Recipe(net.model(data, head), WeightedElbo(Annealing(**annealing)))


@method
def du_iaf(
    data: DataInfo, *, network: Settings, annealing: Settings, gamma: float, keep: float
) -> Recipe:
    """DU-IAF: the flow from the means and variances of DU-VAE."""
    net = network_of(network)
    variance = VarianceDropout(keep, ZERO_ENTROPY_VARIANCE)
    head = _flow(net, _normalised(net, gamma, "rescaled", _FLOW_EPS), variance)
    objective = WeightedElbo(Annealing(**annealing), switch=variance)
    return Recipe(net.model(data, head), objective)


def _gaussian(
    net: Network, mean: nn.Module | None = None, variance: nn.Module | None = None
) -> LinearGaussianHead:
    """Diagonal Gaussians, and what is done to their means and log variances."""
    return LinearGaussianHead(
        net.features,
        net.latent,
        bias=net.bias,
        mean=mean or nn.Identity(),
        variance=variance or nn.Identity(),
    )


def _flow(
    net: Network, mean: nn.Module | None = None, variance: nn.Module | None = None
) -> FlowHead:
    """A flow from such Gaussians."""
    return FlowHead(
        net.features,
        net.latent,
        hidden=net.flow_units,
        bias=net.bias,
        mean=mean or nn.Identity(),
        variance=variance or nn.Identity(),
    )


def _normalised(net: Network, gamma: float, scale: str, eps: float) -> NormalisedMean:
    """Means with batch variance gamma^2 and a trained shift."""
    if isinstance(gamma, bool) or not isinstance(gamma, int | float) or not gamma > 0:
        raise ValueError(f"gamma is {gamma!r}; expected a number above 0")
    return NormalisedMean(net.latent, gamma=gamma, scale=scale, shift=None, eps=eps)
