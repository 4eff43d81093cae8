"""How posteriors are spread over data, by dimension."""

import torch

from vaebench.data.dataset import Dataset
from vaebench.estimators import latents
from vaebench.evaluation import Value, evaluator
from vaebench.evaluation.encoding import posteriors
from vaebench.models.latent import LatentModel
from vaebench.models.posteriors import GaussianPosterior


@evaluator
@torch.no_grad()
def posterior_boxes(model: LatentModel, data: Dataset, *, threshold: float) -> dict[str, Value]:
    """Over the test set, by dimension: `mean` and `variance` [5, K], whiskers and quartiles of
    those of q(z|x) from the lowest to the highest; `active` [K], whether the mean varies by more
    than `threshold`. A deterministic encoder has no `variance`. IGP, Figure 1.
    """
    posterior = posteriors(model, data.test)
    spread = {"mean": posterior.mean}
    if isinstance(posterior, GaussianPosterior):
        spread["variance"] = posterior.variance
    active = latents.active(posterior.mean, threshold)
    boxes = {name: latents.boxes(values).float() for name, values in spread.items()}
    return {name: array.cpu().numpy() for name, array in {**boxes, "active": active}.items()}
