"""The ELBO with a weight on its KL, and what DU-VAE's baselines add to it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from vaebench.data.dataset import Batch
from vaebench.models.divergence import kl_by_dimension
from vaebench.models.latent import LatentModel
from vaebench.models.posteriors import Posterior
from vaebench.objectives.clock import Clock

# The weight of the KL at a time, a 0-dim tensor.
Weight = Callable[[Clock], Tensor]


@dataclass(frozen=True)
class Annealing:
    """A weight that rises linearly from `start` to 1 within so many epochs, exactly 1 from then on.

    It is raised before the step (Bowman et al., 2016; as in the code of He et al., 2019).
    """

    start: float
    epochs: float

    def __post_init__(self) -> None:
        if not 0 <= self.start <= 1 or not self.epochs > 0:
            raise ValueError(
                f"kl_start is {self.start!r} and warm_up {self.epochs!r}; "
                "expected a weight from 0 to 1 and epochs above 0"
            )

    def __call__(self, clock: Clock) -> Tensor:
        return (self.start + (1 - self.start) * clock.epochs / self.epochs).clamp(max=1.0)


@dataclass(frozen=True)
class Constant:
    """A weight that never changes: that of beta-VAE (Higgins et al., 2017)."""

    weight: float

    def __post_init__(self) -> None:
        if not self.weight >= 0:
            raise ValueError(f"beta is {self.weight!r}; expected a number from 0")

    def __call__(self, clock: Clock) -> Tensor:
        return torch.full_like(clock.epochs, self.weight)


class Switch(Protocol):
    """Something in a model that begins when the annealing ends."""

    def activate(self, on: Tensor, /) -> None:
        """`on` is a 0-dim bool."""
        ...


class Regulariser(Protocol):
    """Named scalars of a batch of posteriors, which are added to the loss."""

    def __call__(self, posterior: Posterior, /) -> Mapping[str, Tensor]: ...


@dataclass(frozen=True)
class WeightedElbo:
    """Mean of -log p(x|z) + w KL(q(z|x) || p(z)), one draw of z a datum, in nats.

    Where the mean KL of a dimension is below `free_bits` it is charged that instead, which has no
    gradient (Kingma et al., 2016). `switch` is on from the step in which w is 1. `kl` is the true
    KL.
    """

    weight: Weight
    free_bits: float = 0.0
    regulariser: Regulariser | None = None
    switch: Switch | None = None

    def __post_init__(self) -> None:
        if not self.free_bits >= 0:
            raise ValueError(f"bits is {self.free_bits!r}; expected a number from 0")

    def __call__(self, model: LatentModel, batch: Batch, clock: Clock) -> dict[str, Tensor]:
        weight = self.weight(clock)
        if self.switch is not None:
            self.switch.activate(weight >= 1)
        terms = self.terms(model, model.infer(batch.x), batch.x, weight)
        return terms

    def terms(
        self, model: LatentModel, posterior: Posterior, x: Tensor, weight: Tensor
    ) -> dict[str, Tensor]:
        """The terms for posteriors that are there."""
        draws = posterior.draw(1)
        rec = -model.decoder.log_prob(x, draws.z).mean()
        by_dimension = kl_by_dimension(posterior, model.prior, draws).mean(0)
        charged = by_dimension.clamp_min(self.free_bits) if self.free_bits else by_dimension
        found = {"rec": rec, "kl": by_dimension.sum()}
        loss = rec + weight.to(rec) * charged.sum()
        if self.regulariser is not None:
            added = self.regulariser(posterior)
            loss = loss + sum(added.values())
            found.update(added)
        return {"loss": loss, **found}
