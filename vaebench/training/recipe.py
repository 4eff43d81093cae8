"""What a method hands to the loop."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from vaebench.data.loading import Split
from vaebench.training.examples import Examples
from vaebench.training.procedures import Joint, Objective, Procedure


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
