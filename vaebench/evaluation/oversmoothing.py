"""How far a decoder smooths and a posterior collapses: AR-ELBO, Tables 1 and 5."""

from collections.abc import Iterator

import torch
from torch import Tensor

from vaebench.data.dataset import Dataset, Split
from vaebench.errors import UserError
from vaebench.estimators import mutual_information
from vaebench.estimators.smoothness import squared_gaps, squared_jacobian_norms
from vaebench.evaluation import Value, evaluator
from vaebench.evaluation.encoding import chunks, decoding_size, posteriors
from vaebench.models.divergence import kl_divergence
from vaebench.models.latent import LatentModel
from vaebench.models.posteriors import GaussianPosterior


@evaluator
@torch.no_grad()
def oversmoothing(
    model: LatentModel, data: Dataset, *, split: str, jacobians: int, batch: int
) -> dict[str, Value]:
    """Errors in squared pixel units, summed over an image; divergences and MI in nats.

    Over `split` (`train` or `test`), with one draw z a datum: `mse`, `kl`, `sigma_z2` (the mean
    posterior variance), `sigma_x2` (the decoder's, or `mse` a pixel where it has none), `mi` and
    `mi_latent` (`estimators/mutual_information.py`; means over minibatches of `batch`, without a
    last partial one), `gap_1e-2` and `gap_1e-3` (Eq. 5, a pair a datum). Over its first `jacobians`
    images, from exact Jacobians J at the posterior means: `els` = E||J||_F^2 / K as the paper's
    tables have it, `els_eq6` = E||J||_F, and beside them `els_from_gap` = gap_1e-3 / (2 K 1e-3). A
    deterministic encoder has no `kl`, `sigma_z2` and `mi_latent`. The decoded split is held in
    memory: 190 MB for MNIST.
    """
    parts = {"train": data.train, "test": data.test}
    if split not in parts:
        raise UserError(f"oversmoothing: split is {split!r}; expected train or test")
    part, shape = parts[split], data.info.shape
    posterior = posteriors(model, part)
    draws = posterior.draw(1)
    z = draws.z
    decoded = torch.empty(len(part), *shape, device=z.device)
    for some in _slices(len(part), decoding_size(shape)):
        decoded[some] = model.decoder.mean(z[0, some].float())
    mse = _squared_error(decoded, part)
    constant = getattr(model.decoder, "constant_variance", None)
    sigma_x2 = mse / decoded[0].numel() if constant is None else float(constant)
    minibatches = _minibatches(len(part), batch)
    data_forms = [mutual_information.data_form(decoded[some], sigma_x2) for some in minibatches]
    del decoded

    divergence = sigma_z2 = mi_latent = None
    if isinstance(posterior, GaussianPosterior):
        kl = kl_divergence(posterior, model.prior, draws)
        divergence = None if kl is None else float(kl.mean())
        sigma_z2 = float(posterior.variance.mean())
        latent_forms = [
            mutual_information.latent_form(
                z[0, some], posterior.mean[some], posterior.log_variance[some]
            )
            for some in minibatches
        ]
        mi_latent = sum(latent_forms) / len(latent_forms)

    means = posterior.mean.float()
    latent = means.shape[1]
    noise = torch.randn(2, *means.shape, device=means.device)
    gaps = {variance: _gap(model, means, noise, variance, shape) for variance in (1e-2, 1e-3)}
    norms = _jacobian_norms(model, means[:jacobians], shape)
    return {
        "mse": mse,
        "kl": divergence,
        "sigma_z2": sigma_z2,
        "sigma_x2": sigma_x2,
        "mi": sum(data_forms) / len(data_forms),
        "mi_latent": mi_latent,
        "gap_1e-2": gaps[1e-2],
        "gap_1e-3": gaps[1e-3],
        "els": float(norms.mean()) / latent,
        "els_eq6": float(norms.sqrt().mean()),
        "els_from_gap": gaps[1e-3] / (2 * latent * 1e-3),
    }


def _squared_error(decoded: Tensor, part: Split) -> float:
    total, start = 0.0, 0
    for batch in chunks(part):
        errors = decoded[start : start + len(batch.x)] - batch.x
        total += float(errors.square().flatten(1).sum(1).double().sum())
        start += len(batch.x)
    return total / len(part)


def _minibatches(size: int, batch: int) -> list[slice]:
    """Whole minibatches in the order of the data, or one of all data where they are fewer."""
    starts = range(0, size - batch + 1, batch)
    return [slice(start, start + batch) for start in starts] or [slice(0, size)]


def _gap(
    model: LatentModel, means: Tensor, noise: Tensor, variance: float, shape: tuple[int, ...]
) -> float:
    total = 0.0
    for some in _slices(len(means), decoding_size(shape)):
        gaps = squared_gaps(model.decoder.mean, means[some], noise[:, some], variance)
        total += float(gaps.double().sum())
    return total / len(means)


def _jacobian_norms(model: LatentModel, means: Tensor, shape: tuple[int, ...]) -> Tensor:
    """||J||_F^2 in float64; a chunk's products for all columns are one batch."""
    size = max(1, 4 * decoding_size(shape) // means.shape[1])
    chunked = [
        squared_jacobian_norms(model.decoder.mean, means[some])
        for some in _slices(len(means), size)
    ]
    return torch.cat(chunked).double()


def _slices(size: int, step: int) -> Iterator[slice]:
    for start in range(0, size, step):
        yield slice(start, start + step)
