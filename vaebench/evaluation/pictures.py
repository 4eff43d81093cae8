"""Decoded images as bytes, and pictures of a model's codes for figures."""

import numpy as np
import torch
from torch import Tensor

from vaebench.data.dataset import Dataset, ImageSplit, Split
from vaebench.errors import UserError
from vaebench.evaluation import Value, codes, evaluator
from vaebench.evaluation.encoding import decodings, posterior_means, posteriors
from vaebench.models.latent import LatentModel


def to_bytes(images: Tensor) -> Tensor:
    """uint8 from images in [0, 1]; what a decoder puts outside is clamped."""
    return (255 * images.clamp(0, 1)).round().to(torch.uint8)


def as_bytes(images: Tensor, split: Split) -> Tensor:
    """The same from images whose values are those of `split`: in [-1, 1] for symmetric pixels."""
    if not isinstance(split, ImageSplit):
        raise UserError("only images can be shown as pictures")
    black, white = split.pixels(torch.tensor([0, 255], dtype=torch.uint8)).tolist()
    return to_bytes((images - black) / (white - black))


def as_array(images: Tensor) -> np.ndarray:
    """Pictures [..., C, H, W] of bytes as [..., H, W] where they are grey, else [..., H, W, C]."""
    images = images.squeeze(-3) if images.shape[-3] == 1 else images.movedim(-3, -1)
    return images.cpu().numpy()


@evaluator
@torch.no_grad()
def reconstructed_images(model: LatentModel, data: Dataset, *, count: int) -> dict[str, Value]:
    """`originals`: the first `count` test images; `reconstructions`: their decoded means."""
    x = first(data, count)
    means = model.infer(x).mean
    return {
        "originals": as_array(as_bytes(x, data.test)),
        "reconstructions": _decoded(model, data, means),
    }


@evaluator
@torch.no_grad()
def perturbed_decodings(
    model: LatentModel, data: Dataset, *, count: int, perturbation: float, draws: int
) -> dict[str, Value]:
    """As `reconstructed_images`, and `decodings` [count, draws, ...] of the means plus N(0, s^2 I).

    s^2 is `perturbation`. AR-ELBO, Figure 1.
    """
    x = first(data, count)
    means = model.infer(x).mean
    noise = torch.randn(count, draws, means.shape[1], device=means.device)
    perturbed = means.unsqueeze(1) + perturbation**0.5 * noise
    decoded = _decoded(model, data, perturbed.flatten(0, 1))
    return {
        "originals": as_array(as_bytes(x, data.test)),
        "reconstructions": _decoded(model, data, means),
        "decodings": decoded.reshape(count, draws, *decoded.shape[1:]),
    }


@evaluator
@torch.no_grad()
def sample_images(
    model: LatentModel, data: Dataset, *, latents: str, components: int, count: int
) -> dict[str, Value]:
    """`images`: `count` decoded codes from `latents` (see `frechet`). AR-ELBO, Figures 4 and 5."""
    z = codes.draw(model, data, latents, components, count).z
    return {"images": _decoded(model, data, z)}


@evaluator
@torch.no_grad()
def latent_map(
    model: LatentModel, data: Dataset, *, latents: int, samples: int, perplexity: float
) -> dict[str, Value]:
    """`points` [latents + samples, 2]: t-SNE of draws for the first test images and of the prior.

    `labels` are the classes, -1 for draws of the prior. Embedded together, PCA first, seed 0.
    AR-ELBO, Figures 2 and 3.
    """
    from sklearn.manifold import TSNE

    check_classes(data, "latent_map")
    z = posteriors(model, data.test).rsample(1)[0][:latents]
    prior = model.prior.sample(samples, z.device).to(z)
    embedding = TSNE(2, perplexity=perplexity, init="pca", learning_rate="auto", random_state=0)
    points = embedding.fit_transform(torch.cat([z, prior]).cpu().numpy())
    labels = torch.cat([data.test.labels[: len(z)], data.test.labels.new_full((samples,), -1)])
    return {"points": points.astype(np.float32), "labels": labels.cpu().numpy()}


@evaluator
@torch.no_grad()
def mean_map(model: LatentModel, data: Dataset, *, perplexity: float) -> dict[str, Value]:
    """`points` [N, 2]: t-SNE of the means of q(z|x) of the test set; `labels` [N], the classes.

    scikit-learn's defaults, seed 0. IGP, Figure 4.
    """
    from sklearn.manifold import TSNE

    check_classes(data, "mean_map")
    means = posterior_means(model, data.test).float().cpu().numpy()
    points = TSNE(perplexity=perplexity, random_state=0).fit_transform(means)
    return {"points": points.astype(np.float32), "labels": data.test.labels.cpu().numpy()}


def check_classes(data: Dataset, evaluator: str) -> None:
    """UserError, naming the evaluator, where points could have no colours."""
    if data.test.labels.ndim != 1:
        raise UserError(f"{evaluator}: {data.info.name} has no classes to colour the points by")


def first(data: Dataset, count: int) -> Tensor:
    """The first test images, [count, C, H, W]."""
    if count > len(data.test):
        raise UserError(f"count is {count}, and the test set has {len(data.test)} images")
    return data.test.take(torch.arange(count, device=data.test.labels.device)).x


def _decoded(model: LatentModel, data: Dataset, z: Tensor) -> np.ndarray:
    decoded = decodings(model, z, data.info.shape)
    chunks = [as_bytes(images, data.test) for images in decoded]
    return as_array(torch.cat(chunks))
