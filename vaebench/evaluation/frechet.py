"""Frechet distances between generated and test images, by Inception or by a judge of our own."""

import hashlib
import io
import zipfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from vaebench.data.dataset import Dataset
from vaebench.errors import UserError
from vaebench.estimators.frechet import Moments, distance, moments
from vaebench.evaluation import Value, codes, evaluator
from vaebench.evaluation.encoding import chunks, decodings
from vaebench.evaluation.pictures import to_bytes
from vaebench.models import inception
from vaebench.models.latent import LatentModel
from vaebench.store.atomic import write_bytes

_references: dict[str, Moments] = {}


@evaluator
@torch.no_grad()
def frechet(
    model: LatentModel,
    data: Dataset,
    *,
    judge: nn.Module,
    latents: str,
    components: int,
    count: int,
) -> dict[str, Value]:
    """`fd` between `count` generated and the first `count` test images in the judge's features.

    `latents` says where the codes come from: `prior`, `gmm` (of `components`, fitted to the encoder
    means of the training set; `gmm_converged` is 1 or 0), `mid-point` or `random-point` (spherical
    interpolations between the means of `count` pairs of test images; where there are fewer test
    images, further permutations of them make up the pairs). Both sides are rounded to bytes. A test
    set smaller than `count` is taken whole. `judge_accuracy`, in percent, is on the test set; for
    attributes the mean over them. AR-ELBO, Tables 3 and 4, with a judge for Inception.
    """
    extractor = Extractor(judge.features, fingerprint(judge))  # type: ignore[arg-type]
    found = _distance(model, data, extractor, latents, components, count)
    return {**found, "judge_accuracy": accuracy(judge, data)}


@evaluator
@torch.no_grad()
def fid(
    model: LatentModel,
    data: Dataset,
    *,
    weights: Path,
    latents: str,
    components: int,
    count: int,
) -> dict[str, Value]:
    """`fd` as of `frechet` in the features of the Inception network in the file `weights`."""
    network = inception.load(weights).to(data.test.labels.device)
    extractor = Extractor(network, fingerprint(network))
    return _distance(model, data, extractor, latents, components, count)


@dataclass(frozen=True)
class Extractor:
    """`features` maps images [B, C, H, W] in [0, 1] to [B, F]; `identity` is its weights'."""

    features: Callable[[Tensor], Tensor]
    identity: str


def fingerprint(network: nn.Module) -> str:
    """The hash of all weights by name, type and shape."""
    digest = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        array = tensor.cpu().contiguous().numpy()
        digest.update(f"{name} {array.dtype.name} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def accuracy(judge: nn.Module, data: Dataset) -> float:
    """Percent of the test set that is right; of all attributes where there are some."""
    right, total = 0, 0
    for batch in chunks(data.test):
        logits = judge(batch.x)
        found = logits > 0 if batch.y.ndim > 1 else logits.argmax(-1)
        right += int((found == batch.y).sum())
        total += batch.y.numel()
    return 100 * right / total


def reference(data: Dataset, extractor: Extractor, count: int) -> Moments:
    """The moments of the first `count` test images: computed once, kept in memory and in the cache
    of the data."""
    key = hashlib.sha256(f"{data.sha256} {extractor.identity} {count}".encode()).hexdigest()
    if key not in _references:
        path = None if data.cache is None else data.cache / f"moments-{key[:32]}.npz"
        if path is not None and path.exists():
            _references[key] = _read(path)
        else:
            images = _first(data, count)
            _references[key] = moments(_features(images, extractor))
            if path is not None:
                _write(path, _references[key])
    device = data.test.labels.device
    known = _references[key]
    return Moments(known.mean.to(device), known.covariance.to(device))


def _distance(
    model: LatentModel,
    data: Dataset,
    extractor: Extractor,
    latents: str,
    components: int,
    count: int,
) -> dict[str, Value]:
    z, converged = codes.draw(model, data, latents, components, count)
    generated = moments(_features(decodings(model, z, data.info.shape), extractor))
    found: dict[str, Value] = {"fd": distance(generated, reference(data, extractor, count))}
    return found if converged is None else {**found, "gmm_converged": int(converged)}


def _features(images: Iterable[Tensor], extractor: Extractor) -> Iterator[Tensor]:
    """The features of images as an image file would hold them: 8 bits a channel."""
    for chunk in images:
        yield extractor.features(to_bytes(chunk).float().div_(255))


def _first(data: Dataset, count: int) -> Iterator[Tensor]:
    """The first `count` test images, or all there are, in chunks."""
    left = count
    for batch in chunks(data.test):
        yield batch.x[:left]
        left -= len(batch.x)
        if left <= 0:
            return


def _write(path: Path, found: Moments) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, mean=found.mean.cpu().numpy(), covariance=found.covariance.cpu().numpy())
    write_bytes(path, buffer.getbuffer())


def _read(path: Path) -> Moments:
    try:
        with np.load(path, allow_pickle=False) as stored:
            parts = {name: torch.from_numpy(stored[name]) for name in ("mean", "covariance")}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"{path}: not what vaebench wrote there; delete it: {error}") from error
    return Moments(**parts)
