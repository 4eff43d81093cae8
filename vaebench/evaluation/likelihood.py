"""How well a model fits test data."""

import torch

from vaebench.data.dataset import Dataset
from vaebench.evaluation import Value, evaluator
from vaebench.evaluation.encoding import chunks
from vaebench.models.divergence import kl_divergence
from vaebench.models.latent import LatentModel


@evaluator
@torch.no_grad()
def reconstruction(model: LatentModel, data: Dataset) -> dict[str, Value]:
    """`rec`, `kl` and their sum `negative_elbo`: exact means over the test set, in nats.

    One draw of z a datum; the KL in closed form where there is one. A deterministic encoder has no
    KL, and its `negative_elbo` is the reconstruction loss. IGP, Tables 6 and 12.
    """
    rec = 0.0
    kl: float | None = 0.0
    for batch in chunks(data.test):
        posterior = model.infer(batch.x)
        draws = posterior.draw(1)
        rec -= float(model.decoder.log_prob(batch.x, draws.z).double().sum())
        divergence = kl_divergence(posterior, model.prior, draws)
        kl = None if kl is None or divergence is None else kl + float(divergence.double().sum())
    rec /= len(data.test)
    kl = None if kl is None else kl / len(data.test)
    return {"rec": rec, "kl": kl, "negative_elbo": rec + (kl or 0.0)}
