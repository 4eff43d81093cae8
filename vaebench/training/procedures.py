"""Training procedures: what happens in one step.

A procedure owns the optimisers it needs, so that split optimisers, inner loops and refinement are
procedures and not classes of models.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from vaebench.data.loading import Batch
from vaebench.registry.runs import Optimizer

Objective = Callable[[Any, Batch, int], Mapping[str, Tensor]]


class Procedure(Protocol):
    """One step after another; its state is part of a checkpoint."""

    def prepare(self, model: nn.Module, optimizer: Optimizer) -> None:
        """Make the optimisers for a model that is on its device."""
        ...

    def step(
        self, model: nn.Module, objective: Objective, batch: Batch, step: int
    ) -> Mapping[str, Tensor]:
        """Train on one batch (steps count from 1) and return the objective's terms."""
        ...

    def scale_rate(self, factor: float) -> None:
        """Make the learning rate `factor` times the one that the run began with."""
        ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Joint:
    """All parameters, one optimiser, one gradient step a batch."""

    def __init__(self) -> None:
        self._optimizer: torch.optim.Optimizer | None = None
        self._rate = 0.0

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        if self._optimizer is None:
            raise RuntimeError("prepare() comes before the first step")
        return self._optimizer

    def prepare(self, model: nn.Module, optimizer: Optimizer) -> None:
        self._optimizer = make_optimizer(model.parameters(), optimizer)
        self._rate = optimizer.lr

    def step(
        self, model: nn.Module, objective: Objective, batch: Batch, step: int
    ) -> Mapping[str, Tensor]:
        terms = objective(model, batch, step)
        self.optimizer.zero_grad(set_to_none=True)
        terms["loss"].backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        return terms

    def scale_rate(self, factor: float) -> None:
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate * factor

    def state_dict(self) -> dict[str, Any]:
        return self.optimizer.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state)


def make_optimizer(
    parameters: Iterable[nn.Parameter], settings: Optimizer
) -> torch.optim.Optimizer:
    """The optimiser that `settings` describe, in its fused form: one kernel for all parameters."""
    return torch.optim.Adam(
        parameters, lr=settings.lr, betas=settings.betas, eps=settings.eps, fused=True
    )
