"""The evidence lower bound and the plain reconstruction loss."""

from torch import Tensor

from vaebench.data.dataset import Batch
from vaebench.models.divergence import kl_divergence
from vaebench.models.latent import LatentModel
from vaebench.models.posteriors import Posterior
from vaebench.objectives.clock import Clock


def reconstruction(model: LatentModel, batch: Batch, clock: Clock) -> dict[str, Tensor]:
    """Mean of -log p(x|z) over the batch, in nats: the loss of an autoencoder."""
    z = model.infer(batch.x).rsample(1)
    rec = -model.decoder.log_prob(batch.x, z).mean()
    return {"loss": rec, "rec": rec}


def negative_elbo(model: LatentModel, batch: Batch, clock: Clock) -> dict[str, Tensor]:
    """Mean of -log p(x|z) + KL(q(z|x) || p(z)), one draw of z a datum, in nats (IGP, Eq. 1)."""
    return elbo_terms(model, model.infer(batch.x), batch.x, 1)


def elbo_terms(
    model: LatentModel, posterior: Posterior, x: Tensor, samples: int
) -> dict[str, Tensor]:
    """The terms of `negative_elbo` for posteriors that are there, with so many draws a datum."""
    draws = posterior.draw(samples)
    rec = -model.decoder.log_prob(x, draws.z).mean()
    divergence = kl_divergence(posterior, model.prior, draws)
    if divergence is None:
        raise TypeError("the ELBO needs a posterior with a density; use `reconstruction`")
    kl = divergence.mean()
    return {"loss": rec + kl, "rec": rec, "kl": kl}
