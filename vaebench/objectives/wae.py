"""The Wasserstein autoencoder with the MMD (Tolstikhin et al., 2018)."""

from dataclasses import dataclass

from torch import Tensor

from vaebench.data.dataset import Batch
from vaebench.estimators.mmd import imq_mmd
from vaebench.models.latent import LatentModel
from vaebench.objectives.clock import Clock

_SCALES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)  # those of the authors' code


@dataclass(frozen=True)
class WaeMmd:
    """mean_b ||x - mu(z)||^2 + weight MMD(codes, as many fresh draws from the prior).

    Inverse multiquadratic kernels at seven scales t, C = 2 K t for a prior of variance one.
    """

    weight: float

    def __call__(self, model: LatentModel, batch: Batch, clock: Clock) -> dict[str, Tensor]:
        z = model.infer(batch.x).rsample(1)[0]
        error = (batch.x - model.decoder.mean(z)).square().flatten(1).sum(1).mean()
        prior = model.prior.sample(len(z), z.device).to(z.dtype)
        mmd = imq_mmd(z, prior, [2 * z.shape[1] * scale for scale in _SCALES])
        return {"loss": error + self.weight * mmd, "squared_error": error, "mmd": mmd}
