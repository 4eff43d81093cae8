"""What the latent code holds."""

import torch

from vaebench.data.dataset import Dataset
from vaebench.errors import UserError
from vaebench.estimators import latents
from vaebench.evaluation import Value, evaluator
from vaebench.evaluation.encoding import posterior_means, posteriors
from vaebench.models.latent import LatentModel


@evaluator
def active_units(
    model: LatentModel, data: Dataset, *, split: str, threshold: float
) -> dict[str, Value]:
    """`au`: dimensions whose posterior mean varies by more than `threshold`, unbiased variance.

    `split` is `train`, `test` or `both` (train and test together, IGP's images).
    """
    splits = {"train": [data.train], "test": [data.test], "both": [data.train, data.test]}
    if split not in splits:
        raise UserError(f"active_units: split is {split!r}; expected train, test or both")
    means = torch.cat([posterior_means(model, part) for part in splits[split]])
    return {"au": latents.active_units(means, threshold)}


@evaluator
@torch.no_grad()
def posterior_shape(model: LatentModel, data: Dataset, *, repeats: int) -> dict[str, Value]:
    """`squared_norm` of the mean and `log_determinant` of the covariance (natural logarithm) of the
    aggregated posterior: of one draw a test datum, averaged over `repeats`. IGP, Table 8."""
    posterior = posteriors(model, data.test)
    draws = [posterior.rsample(1)[0] for _ in range(repeats)]
    return {
        "squared_norm": sum(map(latents.squared_norm_of_mean, draws)) / repeats,
        "log_determinant": sum(map(latents.log_determinant_of_covariance, draws)) / repeats,
    }
