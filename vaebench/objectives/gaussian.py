"""Objectives of VAEs with a Gaussian decoder: AR-ELBO, Sections 2-4, and its baselines.

One draw of z an image. `rec` leaves out what no parameter moves: (d/2) ln 2 pi, and the logarithm
of a variance that is fixed. `squared_error` is summed over the pixels of an image and `sigma_x2`
is the mean of the decoder's variances; rec and kl are in nats. All are means over the batch.
"""

from dataclasses import dataclass

from torch import Tensor

from vaebench.data.dataset import Batch
from vaebench.estimators import variance_models
from vaebench.estimators.variance_models import check_form
from vaebench.models.divergence import kl_divergence
from vaebench.models.gaussian_decoder import GaussianDecoder
from vaebench.models.latent import LatentModel
from vaebench.models.posteriors import Draws, Posterior
from vaebench.objectives.clock import Clock


def squared_error(model: LatentModel, batch: Batch, clock: Clock) -> dict[str, Tensor]:
    """mean_b ||x - mu(z)||^2: the loss of an autoencoder."""
    _, _, residuals = _decoded(model, batch)
    error = residuals.square().sum(1).mean()
    return {"loss": error, "squared_error": error}


def fixed_variance(model: LatentModel, batch: Batch, clock: Clock) -> dict[str, Tensor]:
    """mean_b [||x - mu(z)||^2 / (2 sigma_x^2) + KL] with one fixed sigma_x^2 (Eq. 1)."""
    posterior, draws, residuals = _decoded(model, batch)
    error = residuals.square().sum(1).mean()
    sigma_x2 = _fixed_variance_of(model)
    return _terms(error / (2 * sigma_x2), _kl(model, posterior, draws), error, sigma_x2)


def deterministic_fixed_variance(
    model: LatentModel, batch: Batch, clock: Clock
) -> dict[str, Tensor]:
    """`fixed_variance` in the limit sigma_z^2 = 0 without its infinite constant (Table 1).

    The KL leaves `penalty`, mean_b ||mu||^2 / 2.
    """
    posterior, _, residuals = _decoded(model, batch)
    error = residuals.square().sum(1).mean()
    sigma_x2 = _fixed_variance_of(model)
    rec = error / (2 * sigma_x2)
    penalty = 0.5 * posterior.mean.square().sum(1).mean()
    return {
        "loss": rec + penalty,
        "rec": rec,
        "penalty": penalty,
        "squared_error": error,
        "sigma_x2": sigma_x2,
    }


def trained_variance(model: LatentModel, batch: Batch, clock: Clock) -> dict[str, Tensor]:
    """J_rec + KL with the variances that the decoder has learnt so far (Eq. 10)."""
    posterior = model.infer(batch.x)
    draws = posterior.draw(1)
    mean, log_variance = gaussian_decoder(model).moments(draws.z[0])
    residuals = (batch.x - mean).flatten(1)
    rec = variance_models.j_rec_of_log(residuals, log_variance.expand_as(mean).flatten(1))
    error = residuals.square().sum(1).mean()
    return _terms(rec, _kl(model, posterior, draws), error, log_variance.exp().mean())


@dataclass(frozen=True)
class Adaptive:
    """AR-ELBO: J_rec at the MLE of a variance `form` over the minibatch, + KL (Eq. 9, Table 2).

    `sigma_x2` is the mean of the variances put in, the same for every form.
    """

    form: str
    eps: float

    def __post_init__(self) -> None:
        check_form(self.form)

    def __call__(self, model: LatentModel, batch: Batch, clock: Clock) -> dict[str, Tensor]:
        posterior, draws, residuals = _decoded(model, batch)
        rec = variance_models.objective(self.form, residuals, self.eps)
        error = residuals.detach().square().sum(1).mean()
        return _terms(rec, _kl(model, posterior, draws), error, error / residuals.shape[1])


def _decoded(model: LatentModel, batch: Batch) -> tuple[Posterior, Draws, Tensor]:
    """The posteriors, a draw z [1, B, K] and its residuals x - mu(z) [B, d]."""
    posterior = model.infer(batch.x)
    draws = posterior.draw(1)
    return posterior, draws, (batch.x - model.decoder.mean(draws.z[0])).flatten(1)


def _kl(model: LatentModel, posterior: Posterior, draws: Draws) -> Tensor:
    divergence = kl_divergence(posterior, model.prior, draws)
    if divergence is None:
        raise TypeError("the ELBO needs a posterior with a density")
    return divergence.mean()


def _terms(rec: Tensor, kl: Tensor, error: Tensor, sigma_x2: Tensor) -> dict[str, Tensor]:
    return {
        "loss": rec + kl,
        "rec": rec,
        "kl": kl,
        "squared_error": error,
        "sigma_x2": sigma_x2,
    }


def gaussian_decoder(model: LatentModel) -> GaussianDecoder:
    """The decoder of a model, which must be a Gaussian one."""
    if not isinstance(model.decoder, GaussianDecoder):
        raise TypeError("this objective needs a Gaussian decoder")
    return model.decoder


def _fixed_variance_of(model: LatentModel) -> Tensor:
    variance = model.decoder.constant_variance
    if variance is None:
        raise TypeError("this objective needs a decoder with one variance")
    return variance
