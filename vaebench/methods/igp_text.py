"""The text methods of IGP: Zhang, Buntine & Shareghi, "The Neglected Sibling: Isotropic Gaussian
Posterior for VAE" (arXiv 2110.07383), Sections 4.1 to 4.3.

`network` has the sizes of words, `embedding`, of the LSTMs' states, `hidden`, and of the code,
`latent`. `posterior` is `diagonal` (DGP) or `isotropic` (IGP), `prior` a `gaussian`, a mixture of
five whose components have a variance a dimension, `mog`, or one each, `moig`.
"""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from vaebench.data.dataset import DataInfo
from vaebench.methods import method
from vaebench.methods.sizes import check_sizes
from vaebench.models.heads import DeterministicHead, GaussianHead
from vaebench.models.heads import untied as untied_head
from vaebench.models.keras_lstm import encoder_and_decoder
from vaebench.models.latent import LatentModel, glorot_uniform
from vaebench.models.priors import MixturePrior, StandardGaussian
from vaebench.objectives.elbo import reconstruction
from vaebench.objectives.target import TargetKl
from vaebench.training.recipe import Recipe

_COMPONENTS = 5

Prior = StandardGaussian | MixturePrior
_PRIORS: Mapping[str, Callable[[int], Prior]] = {
    "gaussian": StandardGaussian,
    "mog": lambda latent: MixturePrior(latent, _COMPONENTS, isotropic=False),
    "moig": lambda latent: MixturePrior(latent, _COMPONENTS, isotropic=True),
}


@dataclass(frozen=True)
class Sizes:
    """What an argument `network` says."""

    embedding: int
    hidden: int
    latent: int

    def __post_init__(self) -> None:
        check_sizes(self)


@method
def autoencoder(data: DataInfo, *, network: Mapping[str, Any]) -> Recipe:
    """AE: a deterministic code, trained on the reconstruction loss alone."""
    sizes = Sizes(**network)
    head = DeterministicHead(sizes.hidden, sizes.latent)
    return Recipe(_model(data, sizes, head, StandardGaussian(sizes.latent)), reconstruction)


@method
def vae(
    data: DataInfo,
    *,
    network: Mapping[str, Any],
    posterior: str,
    prior: str,
    target: float,
    ramp: int,
    beta: float,
) -> Recipe:
    """VAE whose KL is pulled to a `target` (C), Eq. 2, which rises from 0 within the first `ramp`
    steps, or is there at once (0). With a target of 0 it is beta-VAE."""
    sizes = Sizes(**network)
    if posterior not in ("diagonal", "isotropic"):
        raise ValueError(f"posterior is {posterior!r}; expected diagonal or isotropic")
    if prior not in _PRIORS:
        raise ValueError(f"prior is {prior!r}; expected {', '.join(_PRIORS)}")
    head = GaussianHead(sizes.hidden, sizes.latent, isotropic=posterior == "isotropic")
    objective = TargetKl(target, beta, ramp or None)
    return Recipe(_model(data, sizes, head, _PRIORS[prior](sizes.latent)), objective)


@method
def untied(data: DataInfo, *, target: float, beta: float, base: LatentModel) -> Recipe:
    """A VAE with an isotropic posterior goes on with a diagonal one, all of whose variances begin
    as they were (Table 7). The target is there from the first step."""
    model = copy.deepcopy(base).requires_grad_(True)
    if not isinstance(model.head, GaussianHead):
        raise ValueError(f"base has no Gaussian posterior; {data.name} needs one with one variance")
    model.head = untied_head(model.head)
    return Recipe(model, TargetKl(target, beta, None))


def _model(data: DataInfo, sizes: Sizes, head: nn.Module, prior: Prior) -> LatentModel:
    """Initialised as Keras does."""
    if not data.vocabulary:
        raise ValueError(f"network: {data.name} is images, and this method is for text")
    encoder, decoder = encoder_and_decoder(
        data.vocabulary, sizes.latent, sizes.embedding, sizes.hidden, data.longest
    )
    glorot_uniform(head)
    return LatentModel(encoder, head, prior, decoder)
