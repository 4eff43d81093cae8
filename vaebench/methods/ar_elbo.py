"""The methods of AR-ELBO: Takida et al., "AR-ELBO: Preventing Posterior Collapse Induced by
Oversmoothing in Gaussian VAE" (submission to ICLR 2021).

`network` is `plain` (Tables 1 and 5), `mnist` or `celeba` (Tables 3 and 4); `width` multiplies the
outputs of its layers, 1 is the paper; `output` is what the decoder's mean ends in, `identity` or
`sigmoid`. Variances are given by their logarithm to the base 10, as in the paper.
"""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from vaebench.data.dataset import Batch, DataInfo, Split
from vaebench.evaluation.encoding import posteriors
from vaebench.methods import method
from vaebench.models.convolutional import ConvolutionalEncoder, ConvolutionalGenerator
from vaebench.models.gaussian_decoder import (
    GaussianDecoder,
    PredictedVariance,
    SharedVariance,
    Variance,
    variance_of_form,
)
from vaebench.models.heads import DeterministicHead, GaussianHead, GlobalGaussianHead
from vaebench.models.latent import LatentModel
from vaebench.models.parts import PosteriorHead
from vaebench.models.posteriors import GaussianPosterior
from vaebench.models.priors import StandardGaussian
from vaebench.models.two_stage import TwoStageModel
from vaebench.objectives.clock import Clock
from vaebench.objectives.elbo import negative_elbo
from vaebench.objectives.gaussian import (
    Adaptive,
    deterministic_fixed_variance,
    fixed_variance,
    squared_error,
    trained_variance,
)
from vaebench.objectives.rae import DecoderL2, GradientPenalty
from vaebench.objectives.wae import WaeMmd
from vaebench.training.codes import Codes
from vaebench.training.recipe import Recipe

Head = Callable[[int, int], PosteriorHead]


@method
def vae(
    data: DataInfo, *, network: str, width: float, output: str, latent: int, log10_sigma_x2: float
) -> Recipe:
    """VAE with a fixed sigma_x^2 and a diagonal posterior (Table 3)."""
    variance = _fixed(log10_sigma_x2)
    model = _model(data, network, width, output, latent, _diagonal, variance)
    return Recipe(model, fixed_variance)


@method
def global_posterior(
    data: DataInfo, *, network: str, width: float, output: str, latent: int, log10_sigma_x2: float
) -> Recipe:
    """VAE with a fixed sigma_x^2 and one trainable sigma_z^2 for all data (Table 1, stochastic)."""

    def head(features: int, latent: int) -> GlobalGaussianHead:
        return GlobalGaussianHead(features, latent, log_variance=0.0, trainable=True)

    variance = _fixed(log10_sigma_x2)
    return Recipe(_model(data, network, width, output, latent, head, variance), fixed_variance)


@method
def deterministic_posterior(
    data: DataInfo, *, network: str, width: float, output: str, latent: int, log10_sigma_x2: float
) -> Recipe:
    """The same with sigma_z^2 = 0: what is left of the KL is ||mu||^2 / 2 (Table 1)."""
    variance = _fixed(log10_sigma_x2)
    model = _model(data, network, width, output, latent, DeterministicHead, variance)
    return Recipe(model, deterministic_fixed_variance)


@method
def fixed_posterior(
    data: DataInfo, *, network: str, width: float, output: str, latent: int, log10_sigma_z2: float
) -> Recipe:
    """AR-ELBO (Iso-I) with one fixed sigma_z^2 for all data (Table 5)."""
    log_variance = _natural("log10_sigma_z2", log10_sigma_z2)

    def head(features: int, latent: int) -> GlobalGaussianHead:
        return GlobalGaussianHead(features, latent, log_variance=log_variance, trainable=False)

    model = _model(data, network, width, output, latent, head)
    return Recipe(model, Adaptive("Iso-I", eps=0.0))


@method
def trainable_variance(
    data: DataInfo, *, network: str, width: float, output: str, latent: int, form: str
) -> Recipe:
    """VAE that learns Sigma_x by gradient, in the `form` Iso-I, Diag-I, Iso-D or Diag-D."""
    variance = variance_of_form(form, data.shape)
    model = _model(data, network, width, output, latent, _diagonal, variance)
    return Recipe(model, trained_variance)


@method
def adaptive(
    data: DataInfo, *, network: str, width: float, output: str, latent: int, form: str, eps: float
) -> Recipe:
    """AR-ELBO: Sigma_x of a `form` is its MLE in every step; `eps` as in Section 4."""
    model = _model(data, network, width, output, latent, _diagonal)
    return Recipe(model, Adaptive(form, _positive("eps", eps)))


@method
def autoencoder(data: DataInfo, *, network: str, width: float, output: str, latent: int) -> Recipe:
    """AE: the squared error alone."""
    model = _model(data, network, width, output, latent, DeterministicHead)
    return Recipe(model, squared_error)


@method
def rae_l2(
    data: DataInfo,
    *,
    network: str,
    width: float,
    output: str,
    latent: int,
    beta: float,
    weight: float,
) -> Recipe:
    """RAE with L2 of the decoder: of its transposed convolutions, and on CelebA of its dense layer
    too, as in the code of Ghosh et al. (2020)."""
    layers: tuple[type[nn.Module], ...] = (nn.ConvTranspose2d,)
    if network == "celeba":
        layers += (nn.Linear,)
    model = _model(data, network, width, output, latent, DeterministicHead)
    return Recipe(model, DecoderL2(_positive("beta", beta), _positive("weight", weight), layers))


@method
def rae_gp(
    data: DataInfo,
    *,
    network: str,
    width: float,
    output: str,
    latent: int,
    beta: float,
    weight: float,
    gradient: str,
) -> Recipe:
    """RAE with gradient penalty: `gradient` is `outputs`, the code of Ghosh et al. (2020), or
    `jacobian`."""
    penalty = GradientPenalty(_positive("beta", beta), _positive("weight", weight), gradient)
    model = _model(data, network, width, output, latent, DeterministicHead)
    # Second derivatives are faster without channels last, by a quarter on CelebA.
    model = model.to(memory_format=torch.contiguous_format)
    return Recipe(model, penalty, compilable=False)


@method
def wae_mmd(
    data: DataInfo, *, network: str, width: float, output: str, latent: int, weight: float
) -> Recipe:
    """WAE-MMD with a deterministic encoder; `weight` of the MMD beside the squared error."""
    model = _model(data, network, width, output, latent, DeterministicHead)
    return Recipe(model, WaeMmd(_positive("weight", weight)))


@method
def second_stage(data: DataInfo, *, first: LatentModel, hidden: int) -> Recipe:
    """A second-stage VAE on the codes of `first` (Dai & Wipf, 2019), which becomes its prior."""
    if not isinstance(hidden, int) or hidden < 1:
        raise ValueError(f"hidden is {hidden!r}; expected a size from 1")

    def objective(model: TwoStageModel, batch: Batch, clock: Clock) -> Mapping[str, Tensor]:
        return negative_elbo(model.prior.vae, batch, clock)

    def examples(split: Split) -> Codes:
        posterior = posteriors(first, split)
        std = None
        if isinstance(posterior, GaussianPosterior):
            std = posterior.variance.sqrt().float()
        return Codes(posterior.mean.float(), std, split.labels)

    return Recipe(TwoStageModel(first, hidden), objective, examples=examples)


def _model(
    data: DataInfo,
    network: str,
    width: float,
    output: str,
    latent: int,
    head: Head,
    variance: Variance | None = None,
) -> LatentModel:
    if not isinstance(latent, int) or latent < 1:
        raise ValueError(f"latent is {latent!r}; expected a size from 1")
    channels = data.shape[0]
    encoder = ConvolutionalEncoder(network, data.shape, width)
    variances = channels if isinstance(variance, PredictedVariance) else 0
    generator = ConvolutionalGenerator(network, latent, data.shape, variances, width)
    return LatentModel(
        encoder=encoder,
        head=head(encoder.features, latent),
        prior=StandardGaussian(latent),
        decoder=GaussianDecoder(generator, channels, output, variance),
    )


def _diagonal(features: int, latent: int) -> GaussianHead:
    return GaussianHead(features, latent, isotropic=False)


def _fixed(log10_sigma_x2: float) -> SharedVariance:
    log_variance = torch.tensor(_natural("log10_sigma_x2", log10_sigma_x2))
    return SharedVariance(log_variance, trainable=False)


def _natural(name: str, log10: float) -> float:
    """From a logarithm to the base 10 to the natural one."""
    if isinstance(log10, bool) or not isinstance(log10, int | float) or abs(log10) > 10:
        raise ValueError(f"{name} is {log10!r}; expected a number from -10 to 10")
    return log10 * math.log(10)


def _positive(name: str, value: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ValueError(f"{name} is {value!r}; expected a number above 0")
    return value
