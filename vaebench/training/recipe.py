"""What a method hands to the loop."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from vaebench.data.dataset import Batch, Split
from vaebench.objectives.clock import Clock
from vaebench.training.examples import Examples
from vaebench.training.procedures import Joint, Objective, Procedure, Terms


@dataclass(frozen=True)
class Start:
    """What a model is changed by before its first step: `see(model, x)` looks once at so many
    training examples, without gradients and in training mode."""

    examples: int
    see: Callable[[Any, Tensor], object]

    def __post_init__(self) -> None:
        if not isinstance(self.examples, int) or self.examples < 1:
            raise ValueError(f"examples is {self.examples!r}; expected a number from 1")

    @torch.no_grad()
    def __call__(self, model: nn.Module, examples: Examples, device: torch.device) -> None:
        """Draw the examples, all if there are fewer, and let the model see them."""
        drawn = torch.randperm(len(examples))[: self.examples]
        model.train()
        self.see(model, examples.take(drawn.to(device)).x)


@dataclass(frozen=True)
class Recipe:
    """A model, what it minimises, how a step goes, what the examples are, made of a split on the
    model's device, and how it starts. An objective with second derivatives is not `compilable`."""

    model: nn.Module
    objective: Objective
    procedure: Procedure = field(default_factory=Joint)
    examples: Callable[[Split], Examples] = lambda split: split
    compilable: bool = True
    start: Start | None = None

    def at(self, precision: str, device: torch.device) -> "Recipe":
        """The same in this precision: in `bf16` the objective goes through torch.autocast, so that
        products and convolutions round their operands to bfloat16; weights stay float32."""
        if precision == "float32":
            return self
        objective = self.objective

        def rounded(model: Any, batch: Batch, clock: Clock) -> Terms:
            with torch.autocast(device.type, torch.bfloat16):
                return objective(model, batch, clock)

        return replace(self, objective=rounded)

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
