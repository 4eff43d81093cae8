"""The squared error of reconstructions."""

import torch

from vaebench.data.dataset import Dataset
from vaebench.evaluation import Value, evaluator
from vaebench.evaluation.encoding import chunks
from vaebench.models.latent import LatentModel


@evaluator
@torch.no_grad()
def squared_error(model: LatentModel, data: Dataset) -> dict[str, Value]:
    """`mse` of decoded posterior means and `mse_sampled` of one draw a datum, over the test set.

    Summed over pixels and channels, with pixels in [0, 1] and what the decoder gives as it is.
    AR-ELBO, Table 3.
    """
    by_mean = by_draw = 0.0
    for batch in chunks(data.test):
        posterior = model.infer(batch.x)
        decoded = model.decoder.mean(torch.stack([posterior.mean, posterior.rsample(1)[0]]))
        errors = (decoded - batch.x).square().flatten(2).sum(2, dtype=torch.float64).sum(1)
        by_mean += float(errors[0])
        by_draw += float(errors[1])
    return {"mse": by_mean / len(data.test), "mse_sampled": by_draw / len(data.test)}
