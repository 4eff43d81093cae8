"""The methods of DU-VAE: Shen et al., "Regularizing Variational Autoencoder with Diversity and
Uncertainty Awareness" (IJCAI 2021), and those that it is compared with.

`network` has a `kind`, `resnet-pixelcnn` (OMNIGLOT), a `width` that multiplies the outputs of its
layers (1 is the paper) and the size of its code, `latent`. `annealing` raises the weight of the KL
from `start` to 1 within `epochs`. Symbols are the paper's: `gamma` scales posterior means, `keep`
is p, the probability that a variance is not dropped.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from vaebench.data.dataset import DataInfo
from vaebench.methods import method
from vaebench.models.flows import FlowHead
from vaebench.models.heads import (
    ZERO_ENTROPY_VARIANCE,
    DeltaHead,
    LinearGaussianHead,
    NormalisedMean,
    VarianceDropout,
)
from vaebench.models.latent import LatentModel
from vaebench.models.pixelcnn import PixelCnnDecoder
from vaebench.models.priors import StandardGaussian
from vaebench.models.refined import RefinedModel, Refinement
from vaebench.models.resnet import ResNetEncoder
from vaebench.objectives.annealed import (
    Annealing,
    Constant,
    MutualPosteriorDivergence,
    WeightedElbo,
)
from vaebench.training.aggressive import Aggressive, InnerLoop
from vaebench.training.recipe import Recipe
from vaebench.training.semi_amortised import SemiAmortised

_BATCH = 50  # images, of the training
_EPS = 1e-5
_FLOW_EPS = 1e-8  # before a flow, as in the authors' code

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Network:
    """What an argument `network` says."""

    kind: str
    width: float
    latent: int

    def __post_init__(self) -> None:
        if self.kind != "resnet-pixelcnn":
            raise ValueError(f"network.kind is {self.kind!r}; expected resnet-pixelcnn")
        width = self.width
        if isinstance(width, bool) or not isinstance(width, int | float) or not 0 < width <= 16:
            raise ValueError(f"network.width is {width!r}; expected a factor above 0, at most 16")
        if isinstance(self.latent, bool) or not isinstance(self.latent, int) or self.latent < 1:
            raise ValueError(f"network.latent is {self.latent!r}; expected a size from 1")

    def scaled(self, size: int) -> int:
        """A layer of the paper at this width."""
        return max(1, round(size * self.width))

    @property
    def channels(self) -> int:
        """An even number, for the bottlenecks have half as many."""
        return 2 * self.scaled(32)

    @property
    def features(self) -> int:
        """What the encoder gives to the head."""
        return self.scaled(512)

    @property
    def flow_units(self) -> int:
        """In a hidden layer of a flow's network."""
        return self.scaled(60 * self.latent)


@method
def vae(data: DataInfo, *, network: Settings, annealing: Settings) -> Recipe:
    """VAE with KL annealing."""
    net = Network(**network)
    return Recipe(_model(data, net, _gaussian(net)), WeightedElbo(Annealing(**annealing)))


@method
def beta_vae(data: DataInfo, *, network: Settings, beta: float) -> Recipe:
    """beta-VAE: a constant weight of the KL. With beta = 0 it is the AE of Table 3, whose codes are
    drawn as ever (Li et al., 2019)."""
    net = Network(**network)
    return Recipe(_model(data, net, _gaussian(net)), WeightedElbo(Constant(beta)))


@method
def semi_amortised(
    data: DataInfo, *, network: Settings, annealing: Settings, refinements: int
) -> Recipe:
    """SA-VAE: the posterior of every batch is refined by so many gradient steps."""
    net, weight = Network(**network), Annealing(**annealing)
    refinement = Refinement(refinements, rate=1.0, momentum=0.5, clip=5.0, batch=_BATCH)
    model = RefinedModel(_model(data, net, _gaussian(net)), refinement)
    return Recipe(model, WeightedElbo(weight), SemiAmortised(weight), compilable=False)


@method
def aggressive(
    data: DataInfo, *, network: Settings, annealing: Settings, inner: Settings
) -> Recipe:
    """Agg-VAE: before every step of the decoder the encoder is trained by an `inner` loop."""
    net = Network(**network)
    procedure = Aggressive(InnerLoop(**inner))
    objective = WeightedElbo(Annealing(**annealing))
    return Recipe(_model(data, net, _gaussian(net)), objective, procedure)


@method
def free_bits(data: DataInfo, *, network: Settings, annealing: Settings, bits: float) -> Recipe:
    """FB: the mean KL of a dimension is charged no less than `bits` (lambda), in nats."""
    net = Network(**network)
    objective = WeightedElbo(Annealing(**annealing), free_bits=bits)
    return Recipe(_model(data, net, _gaussian(net)), objective)


@method
def delta_vae(data: DataInfo, *, network: Settings, annealing: Settings, delta: float) -> Recipe:
    """delta-VAE: the KL of a dimension is at least `delta`, in nats."""
    net = Network(**network)
    head = DeltaHead(net.features, net.latent, bias=True, delta=delta)
    return Recipe(_model(data, net, head), WeightedElbo(Annealing(**annealing)))


@method
def bn_vae(data: DataInfo, *, network: Settings, annealing: Settings, gamma: float) -> Recipe:
    """BN-VAE: posterior means with batch variance gamma^2, fixed, and a trained shift."""
    net = Network(**network)
    head = _gaussian(net, mean=_normalised(net, gamma, "fixed", _EPS))
    return Recipe(_model(data, net, head), WeightedElbo(Annealing(**annealing)))


@method
def mae(
    data: DataInfo, *, network: Settings, annealing: Settings, diversity: float, smoothness: float
) -> Recipe:
    """MAE with a standard Gaussian prior. DU-VAE calls the weight of diversity gamma and that of
    smoothness eta; in the MAE paper the letters are the other way round."""
    net = Network(**network)
    pairs = MutualPosteriorDivergence(diversity, smoothness)
    objective = WeightedElbo(Annealing(**annealing), regulariser=pairs)
    return Recipe(_model(data, net, _gaussian(net)), objective)


@method
def du_vae(
    data: DataInfo, *, network: Settings, annealing: Settings, gamma: float, keep: float
) -> Recipe:
    """DU-VAE: normalised means; after the warm-up, dropout on variances, which have a floor."""
    net = Network(**network)
    variance = VarianceDropout(keep, ZERO_ENTROPY_VARIANCE)
    head = _gaussian(net, _normalised(net, gamma, "rescaled", _EPS), variance)
    objective = WeightedElbo(Annealing(**annealing), switch=variance)
    return Recipe(_model(data, net, head), objective)


@method
def iaf_free_bits(data: DataInfo, *, network: Settings, annealing: Settings, bits: float) -> Recipe:
    """IAF+FB: an inverse autoregressive flow, and free bits for its dimensions."""
    net = Network(**network)
    objective = WeightedElbo(Annealing(**annealing), free_bits=bits)
    return Recipe(_model(data, net, _flow(net)), objective)


@method
def iaf_bn(data: DataInfo, *, network: Settings, annealing: Settings, gamma: float) -> Recipe:
    """IAF+BN: the flow from means with batch variance gamma^2, fixed."""
    net = Network(**network)
    head = _flow(net, mean=_normalised(net, gamma, "fixed", _FLOW_EPS))
    return Recipe(_model(data, net, head), WeightedElbo(Annealing(**annealing)))


@method
def du_iaf(
    data: DataInfo, *, network: Settings, annealing: Settings, gamma: float, keep: float
) -> Recipe:
    """DU-IAF: the flow from the means and variances of DU-VAE."""
    net = Network(**network)
    variance = VarianceDropout(keep, ZERO_ENTROPY_VARIANCE)
    head = _flow(net, _normalised(net, gamma, "rescaled", _FLOW_EPS), variance)
    objective = WeightedElbo(Annealing(**annealing), switch=variance)
    return Recipe(_model(data, net, head), objective)


def _model(
    data: DataInfo, net: Network, head: LinearGaussianHead | DeltaHead | FlowHead
) -> LatentModel:
    """Encoder, head, N(0, I) and decoder; the head's linear map begins Xavier uniform."""
    nn.init.xavier_uniform_(head.linear.weight)
    nn.init.zeros_(head.linear.bias)
    return LatentModel(
        encoder=ResNetEncoder(data.shape, net.channels, net.features),
        head=head,
        prior=StandardGaussian(net.latent),
        decoder=PixelCnnDecoder(net.latent, data.shape, net.channels),
    )


def _gaussian(
    net: Network, mean: nn.Module | None = None, variance: nn.Module | None = None
) -> LinearGaussianHead:
    """Diagonal Gaussians, and what is done to their means and log variances."""
    return LinearGaussianHead(
        net.features,
        net.latent,
        bias=True,
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
        bias=True,
        mean=mean or nn.Identity(),
        variance=variance or nn.Identity(),
    )


def _normalised(net: Network, gamma: float, scale: str, eps: float) -> NormalisedMean:
    """Means with batch variance gamma^2 and a trained shift."""
    if isinstance(gamma, bool) or not isinstance(gamma, int | float) or not gamma > 0:
        raise ValueError(f"gamma is {gamma!r}; expected a number above 0")
    return NormalisedMean(net.latent, gamma=gamma, scale=scale, shift=None, eps=eps)
