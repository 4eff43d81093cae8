"""The methods of IGP: Zhang, Buntine & Shareghi, "The Neglected Sibling: Isotropic Gaussian
Posterior for VAE" (arXiv 2110.07383).

Images (Section 4.4): the one-layer network of Burda et al. (2016) with K = 32, Glorot
initialisation, real pixels scored by the Bernoulli cross-entropy.
"""

from collections.abc import Sequence

from vaebench.data.dataset import DataInfo
from vaebench.methods import method
from vaebench.models.decoders import BernoulliMlpDecoder
from vaebench.models.encoders import MlpEncoder
from vaebench.models.heads import DeterministicHead, GaussianHead
from vaebench.models.latent import LatentModel, glorot_uniform
from vaebench.models.parts import PosteriorHead
from vaebench.models.priors import StandardGaussian
from vaebench.objectives.elbo import negative_elbo, reconstruction
from vaebench.objectives.iwae import ImportanceWeighted
from vaebench.training.recipe import Recipe


@method
def autoencoder(data: DataInfo, *, latent: int, hidden: Sequence[int]) -> Recipe:
    """AE: a deterministic code, trained on the reconstruction loss alone."""
    return Recipe(_mlp(data, DeterministicHead(hidden[-1], latent), latent, hidden), reconstruction)


@method
def vae(data: DataInfo, *, latent: int, hidden: Sequence[int], posterior: str) -> Recipe:
    """VAE with a diagonal (DGP) or isotropic (IGP) posterior and the closed-form KL, Eq. 1."""
    head = _gaussian_head(posterior, hidden[-1], latent)
    return Recipe(_mlp(data, head, latent, hidden), negative_elbo)


@method
def iwae(
    data: DataInfo, *, latent: int, hidden: Sequence[int], posterior: str, samples: int
) -> Recipe:
    """IWAE with k = `samples` draws; the KL is Monte Carlo even for k = 1."""
    head = _gaussian_head(posterior, hidden[-1], latent)
    return Recipe(_mlp(data, head, latent, hidden), ImportanceWeighted(samples))


def _gaussian_head(posterior: str, features: int, latent: int) -> GaussianHead:
    if posterior not in ("diagonal", "isotropic"):
        raise ValueError(f"posterior is {posterior!r}; expected diagonal or isotropic")
    return GaussianHead(features, latent, isotropic=posterior == "isotropic")


def _mlp(data: DataInfo, head: PosteriorHead, latent: int, hidden: Sequence[int]) -> LatentModel:
    """Encoder 784-200-200, the head, N(0, I), decoder 32-200-200-784 at the paper's sizes."""
    for size in (latent, *hidden):
        if not isinstance(size, int) or size < 1:
            raise ValueError(f"latent is {latent!r} and hidden {hidden!r}; expected sizes from 1")
    model = LatentModel(
        encoder=MlpEncoder(data.shape, hidden),
        head=head,
        prior=StandardGaussian(latent),
        decoder=BernoulliMlpDecoder(latent, list(reversed(hidden)), data.shape),
    )
    glorot_uniform(model)
    return model
