"""Where the codes of a data set lie in a plane."""

import numpy as np
import torch
from torch import Tensor

from vaebench.data.dataset import Dataset
from vaebench.errors import UserError
from vaebench.estimators import gaussian
from vaebench.evaluation import Value, evaluator
from vaebench.evaluation.encoding import posteriors
from vaebench.models.latent import LatentModel
from vaebench.models.posteriors import GaussianPosterior


@evaluator
@torch.no_grad()
def aggregated_posterior(
    model: LatentModel, data: Dataset, *, points: int, extent: float
) -> dict[str, Value]:
    """`density` [points, points]: q(z), the mean of q(z|x) over the test set, at `places` [points]
    from -extent to extent in both dimensions of z, the second downwards; `means` [N, 2] of q(z|x)
    and `labels` [N]. DU-VAE, Figure 1.
    """
    posterior = posteriors(model, data.test)
    if not isinstance(posterior, GaussianPosterior):
        raise UserError("aggregated_posterior: a deterministic encoder has no density")
    if posterior.mean.shape[1] != 2:
        raise UserError(
            f"aggregated_posterior: codes have {posterior.mean.shape[1]} dimensions; expected two"
        )
    places = torch.linspace(-extent, extent, points).to(posterior.mean)
    density = density_on_grid(posterior.mean, posterior.log_variance, places)
    return {
        "places": places.cpu().numpy().astype(np.float32),
        "density": density.cpu().numpy().astype(np.float32),
        "means": posterior.mean.cpu().numpy().astype(np.float32),
        "labels": data.test.labels.cpu().numpy(),
    }


def density_on_grid(means: Tensor, log_variances: Tensor, places: Tensor) -> Tensor:
    """The mean density of Gaussians [N, 2] at every pair of `places` [P], [P, P]: the second
    dimension downwards. It is a product of their one-dimensional densities, [P, N] each."""
    grid = places[:, None, None]
    marginals = gaussian.log_density_by_dimension(grid, means, log_variances).exp()
    first, second = marginals.unbind(2)
    return second @ first.T / len(means)
