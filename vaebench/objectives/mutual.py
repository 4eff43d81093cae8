"""MAE's objective (Ma, Zhou & Hovy, 2019): the ELBO, and what the posteriors of a batch are to one
another."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from vaebench.data.dataset import Batch
from vaebench.errors import UserError
from vaebench.estimators import pairwise
from vaebench.models.latent import LatentModel
from vaebench.models.posteriors import GaussianPosterior, Posterior
from vaebench.objectives.clock import Clock
from vaebench.objectives.elbo import elbo_terms

FORMS = ("code", "paper", "code_2018_09")


@dataclass(frozen=True)
class MutualPosteriorDivergence:
    """MAE's regularisers (Eq. 7), of the KLs between all ordered pairs of a batch, in nats.

    `diversity` times the sum over dimensions of softplus(-KL), and `smoothness` times the unbiased
    standard deviation of the whole KLs; a term whose weight is 0 is left out. The softplus is that
    of the mean over pairs in the official code; in the `paper` (Eq. 8) the mean is that of the
    softplus; until September 2018 the code divided the mean by the weight.
    """

    diversity: float
    smoothness: float
    form: str = "code"

    def __post_init__(self) -> None:
        if not (self.diversity >= 0 and self.smoothness >= 0):
            raise ValueError(
                f"diversity is {self.diversity!r}, smoothness {self.smoothness!r}; "
                "expected numbers from 0"
            )
        if self.form not in FORMS:
            raise ValueError(f"form is {self.form!r}; expected one of {', '.join(FORMS)}")

    def __call__(self, posterior: Posterior) -> dict[str, Tensor]:
        if not (self.diversity or self.smoothness):
            return {}
        if not isinstance(posterior, GaussianPosterior):
            raise TypeError("pairwise KLs need Gaussian posteriors")
        if len(posterior.mean) < 2:
            raise UserError("a batch of one datum has no pairs; say `drop_last: true`")
        terms = {}
        # A KL is a small difference of large products: never in bfloat16.
        with torch.autocast(posterior.mean.device.type, enabled=False):
            mean = posterior.mean.to(torch.promote_types(posterior.mean.dtype, torch.float32))
            log_variance = posterior.log_variance.to(mean.dtype).expand_as(mean)
            gaussians = pairwise.Gaussians.of(mean, log_variance)
            if self.diversity:
                terms["diversity"] = self.diversity * self._closeness(gaussians)
            if self.smoothness:
                kls = pairwise.kl_matrix(gaussians)
                terms["smoothness"] = self.smoothness * pairwise.off_diagonal_std(kls)
        return terms

    def _closeness(self, gaussians: pairwise.Gaussians) -> Tensor:
        if self.form == "paper":
            return pairwise.mean_softplus_by_dimension(gaussians).sum()
        by_dimension = pairwise.mean_kl_by_dimension(gaussians)
        if self.form == "code_2018_09":
            by_dimension = by_dimension / self.diversity
        return F.softplus(-by_dimension).sum()


@dataclass(frozen=True)
class MutualElbo:
    """The negative ELBO and `pairs`, one draw of z a datum, in nats (MAE, Eq. 7).

    Where the mean KL of a batch is below `free_bits` it is charged that instead, which has no
    gradient; 0 is none. `kl` is the true KL; the other terms are as they are in the loss.
    """

    free_bits: float
    pairs: MutualPosteriorDivergence

    def __post_init__(self) -> None:
        if not self.free_bits >= 0:
            raise ValueError(f"free_bits is {self.free_bits!r}; expected nats from 0")

    def __call__(self, model: LatentModel, batch: Batch, clock: Clock) -> dict[str, Tensor]:
        posterior = model.infer(batch.x)
        found = elbo_terms(model, posterior, batch.x, 1)
        charged = found["kl"].clamp_min(self.free_bits) if self.free_bits else found["kl"]
        added = self.pairs(posterior)
        loss = found["rec"] + charged + sum(added.values())
        return {**found, "loss": loss, **added}
