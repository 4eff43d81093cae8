"""Pictures for figures: decoded draws of the prior, and the way from one image to another."""

import numpy as np
import torch
from torch import Tensor

from vaebench.data.dataset import Dataset
from vaebench.evaluation import Value, codes, evaluator
from vaebench.evaluation.pictures import as_array, as_bytes
from vaebench.models.latent import LatentModel


@evaluator
@torch.no_grad()
def prior_means(model: LatentModel, data: Dataset, *, count: int) -> dict[str, Value]:
    """`images`: E[x|z] for `count` draws z ~ p(z), uint8 [count, H, W]; nothing is binarised."""
    z = model.prior.sample(count, data.test.labels.device)
    images = (255 * model.decoder.mean(z)).round().to(torch.uint8)
    return {"images": images.squeeze(1).cpu().numpy()}


@evaluator
@torch.no_grad()
def prior_samples(model: LatentModel, data: Dataset, *, count: int) -> dict[str, Value]:
    """`images`: one draw x ~ p(x|z) for each of `count` draws z ~ p(z). DU-VAE, Figure S1; MAE,
    Figures 3, 4 and 6."""
    return {"images": _drawn(model, data, model.prior.sample(count, data.test.labels.device))}


@evaluator
@torch.no_grad()
def interpolated_samples(
    model: LatentModel, data: Dataset, *, pairs: int, steps: int
) -> dict[str, Value]:
    """`sources` and `targets`: pairs of test images, the same for every model; `interpolations`
    [pairs, steps, …]: one draw x ~ p(x|z) at each of `steps` codes z on the line from the one's
    posterior mean to the other's, both ends included. DU-VAE, Figure S1."""
    fixed = torch.Generator().manual_seed(codes.PAIRS_SEED)
    ends = codes.pairs(len(data.test), pairs, fixed).to(data.test.labels.device)
    one, other = (data.test.take(index).x for index in ends)
    start, end = (model.infer(x).mean.unsqueeze(1) for x in (one, other))
    z = torch.lerp(start, end, torch.linspace(0, 1, steps, device=start.device).unsqueeze(1))
    return {
        "sources": as_array(as_bytes(one, data.test)),
        "targets": as_array(as_bytes(other, data.test)),
        "interpolations": _drawn(model, data, z),
    }


def _drawn(model: LatentModel, data: Dataset, z: Tensor) -> np.ndarray:
    """One draw x ~ p(x|z) of each code [..., K], or E[x|z] where a decoder draws none, as bytes."""
    draw = getattr(model.decoder, "sample", model.decoder.mean)
    return as_array(as_bytes(draw(z), data.test))
