"""Pictures for figures."""

import torch

from vaebench.data.loading import Dataset
from vaebench.evaluation import Value, evaluator
from vaebench.models.latent import LatentModel


@evaluator
@torch.no_grad()
def prior_means(model: LatentModel, data: Dataset, *, count: int) -> dict[str, Value]:
    """`images`: E[x|z] for `count` draws z ~ p(z), uint8 [count, H, W]; nothing is binarised."""
    z = model.prior.sample(count, data.test.labels.device)
    images = (255 * model.decoder.mean(z)).round().to(torch.uint8)
    return {"images": images.squeeze(1).cpu().numpy()}
