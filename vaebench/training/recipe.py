"""What a method hands to the loop."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from vaebench.data.loading import Batch, Split
from vaebench.training.procedures import Joint, Procedure

Terms = Mapping[str, Tensor]


class Objective(Protocol):
    """Named scalars of a batch, `loss` among them; everything in it is logged.

    `model` is what the method made: a LatentModel, or a judge's classifier.
    """

    def __call__(self, model: Any, batch: Batch, step: int, /) -> Terms: ...


class Examples(Protocol):
    """What a run trains on: a split, or what a method makes of one, on the same device."""

    def __len__(self) -> int: ...

    def take(self, index: Tensor) -> Batch:
        """The examples at `index` (int64 [B]); noise in them is from the global generator."""
        ...


@dataclass(frozen=True)
class Recipe:
    """A model, what it minimises, how a step goes, and what the examples are, made of a split on
    the model's device. An objective with second derivatives is not `compilable`."""

    model: nn.Module
    objective: Objective
    procedure: Procedure = field(default_factory=Joint)
    examples: Callable[[Split], Examples] = lambda split: split
    compilable: bool = True

    def compiled(self) -> "Recipe":
        """The same with its objective compiled, a shape at a time, in the first step, if it can be.

        Noise is drawn as without: the compiler's own generator is slower on CPUs.
        """
        if not self.compilable:
            return self
        options: dict[str, Any] = {"fallback_random": True}
        return replace(
            self, objective=torch.compile(self.objective, dynamic=False, options=options)
        )
