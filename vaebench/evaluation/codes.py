"""Where the codes of what is generated come from: prior, mixture or interpolation."""

from typing import NamedTuple

import torch
from torch import Tensor

from vaebench.data.dataset import Dataset
from vaebench.errors import UserError
from vaebench.estimators.interpolation import slerp
from vaebench.evaluation.encoding import posterior_means
from vaebench.models.latent import LatentModel

SOURCES = ("prior", "gmm", "mid-point", "random-point")
PAIRS_SEED = 20_200_917  # one for all models, so that all interpolate between the same data


class Codes(NamedTuple):
    """`z` [count, K]; `converged` says whether the mixture's fit did, None where there is none."""

    z: Tensor
    converged: bool | None = None


def draw(model: LatentModel, data: Dataset, source: str, components: int, count: int) -> Codes:
    """`count` codes from the prior, from a Gaussian mixture of `components` on the encoder means of
    the training set, or from half-way or anywhere between the means of two test images."""
    if source not in SOURCES:
        raise UserError(f"latents is {source!r}; expected one of {', '.join(SOURCES)}")
    if (source == "gmm") != (components > 0):
        raise UserError(f"components is {components} for latents {source!r}; only a gmm has them")
    match source:
        case "prior":
            return Codes(model.prior.sample(count, data.test.labels.device))
        case "gmm":
            return mixture(posterior_means(model, data.train), components, count)
        case _:
            means = posterior_means(model, data.test)
            return Codes(interpolations(means, count, mid_point=source == "mid-point"))


def mixture(means: Tensor, components: int, count: int) -> Codes:
    """`count` draws, in mixed order, from a Gaussian mixture fitted to codes [N, K].

    The settings are those of RAE (Ghosh et al., 2020), which AR-ELBO follows.
    """
    from sklearn.mixture import GaussianMixture

    fitted = GaussianMixture(
        n_components=components,
        covariance_type="full",
        tol=1e-3,
        reg_covar=1e-6,
        max_iter=2000,
        n_init=1,
        init_params="kmeans",
        random_state=int(torch.randint(2**31 - 1, ())),
    ).fit(means.double().cpu().numpy())
    drawn = torch.from_numpy(fitted.sample(count)[0])  # sorted by component
    z = drawn[torch.randperm(count)].to(means)
    return Codes(z, bool(fitted.converged_))


def interpolations(means: Tensor, count: int, *, mid_point: bool) -> Tensor:
    """Codes on great circles between pairs of means [N, K]: half-way, or at t ~ U[0, 1].

    Pairs and t are the same for every model. AR-ELBO, Table 4.
    """
    generator = torch.Generator().manual_seed(PAIRS_SEED)
    one, other = pairs(len(means), count, generator).to(means.device)
    t = torch.full((count,), 0.5) if mid_point else torch.rand(count, generator=generator)
    return slerp(means[one], means[other], t.to(means.device))


def pairs(size: int, count: int, generator: torch.Generator) -> Tensor:
    """`count` pairs of different indices below `size`, [2, count].

    The pairs of two independent permutations, as many times as it takes: once for pairs up to the
    size but for those that a permutation left in place.
    """
    if size < 2:
        raise UserError(f"interpolations need two of the test set; it has {size}")
    found = torch.empty(2, 0, dtype=torch.int64)
    while found.shape[1] < count:
        two = torch.stack([torch.randperm(size, generator=generator) for _ in range(2)])
        found = torch.cat([found, two[:, two[0] != two[1]]], 1)
    return found[:, :count]
