"""What a method hands to the loop."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from vaebench.data.loading import Batch
from vaebench.models.latent import LatentModel
from vaebench.training.procedures import Joint, Procedure

Terms = Mapping[str, Tensor]


class Objective(Protocol):
    """Named scalars of a batch, `loss` among them; everything in it is logged."""

    def __call__(self, model: LatentModel, batch: Batch, step: int, /) -> Terms: ...


@dataclass(frozen=True)
class Recipe:
    """A model, what it minimises and how a step goes."""

    model: LatentModel
    objective: Objective
    procedure: Procedure = field(default_factory=Joint)

    def compiled(self) -> "Recipe":
        """The same with its objective compiled, a shape at a time, in the first step.

        Noise is drawn as without: the compiler's own generator is slower on CPUs.
        """
        options: dict[str, Any] = {"fallback_random": True}
        return replace(
            self, objective=torch.compile(self.objective, dynamic=False, options=options)
        )


RecipeMaker = Callable[..., Recipe]
