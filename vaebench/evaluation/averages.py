"""Codes that are the mean of draws from q(z|x), as in MAE's official code: what they decode to, and
where they lie."""

import numpy as np
import torch

from vaebench.data.dataset import Dataset
from vaebench.evaluation import Value, evaluator
from vaebench.evaluation.checks import check_whole
from vaebench.evaluation.encoding import sampled_features
from vaebench.evaluation.pictures import as_array, as_bytes, check_classes, first
from vaebench.models.latent import LatentModel


@evaluator
@torch.no_grad()
def averaged_reconstructions(
    model: LatentModel, data: Dataset, *, count: int, draws: int
) -> dict[str, Value]:
    """`originals`: the first `count` test images; `reconstructions`: the likeliest image, pixel by
    pixel, of the mean of `draws` codes of each, or E[x|z] of a decoder that has none. MAE, Figures
    2 and 4."""
    check_whole("averaged_reconstructions", 1, count=count, draws=draws)
    x = first(data, count)
    z = model.infer(x).rsample(draws).mean(0)
    decode = getattr(model.decoder, "most_likely", model.decoder.mean)
    return {
        "originals": as_array(as_bytes(x, data.test)),
        "reconstructions": as_array(as_bytes(decode(z), data.test)),
    }


@evaluator
@torch.no_grad()
def averaged_map(
    model: LatentModel,
    data: Dataset,
    *,
    draws: int,
    perplexity: float,
    iterations: int,
    exaggeration: float,
    learning_rate: float,
) -> dict[str, Value]:
    """`points` [N, 2]: t-SNE of the `sampled_features` of all images, those of training first and
    of test last; `labels` [N], the classes. It begins at random, seed 0. MAE, Figure 5."""
    from sklearn.manifold import TSNE

    check_whole("averaged_map", 0, draws=draws)
    check_classes(data, "averaged_map")
    splits = [split for split in (data.train, data.validation, data.test) if split is not None]
    z = torch.cat([sampled_features(model, split, draws) for split in splits])
    embedding = TSNE(
        perplexity=perplexity,
        max_iter=iterations,
        early_exaggeration=exaggeration,
        learning_rate=learning_rate,
        init="random",
        random_state=0,
    )
    points = embedding.fit_transform(z.float().cpu().numpy())
    labels = torch.cat([split.labels for split in splits])
    return {"points": points.astype(np.float32), "labels": labels.cpu().numpy()}
