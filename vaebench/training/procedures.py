"""Training procedures: what happens in one step.

A procedure owns the optimisers it needs, so that split optimisers, inner loops and refinement are
procedures and not classes of models.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import torch
from torch import Tensor, nn

from vaebench.data.dataset import Batch
from vaebench.models.parts import Constrained
from vaebench.objectives.clock import Clock
from vaebench.registry.runs import Optimizer, Sgd, Training
from vaebench.training.batching import Batching
from vaebench.training.examples import Examples

Terms = Mapping[str, Tensor]


class Objective(Protocol):
    """Named scalars of a batch, `loss` among them; everything in it is logged.

    `model` is what the method made: a LatentModel, or a judge's classifier.
    """

    def __call__(self, model: Any, batch: Batch, clock: Clock, /) -> Terms: ...


@dataclass(frozen=True)
class Setting:
    """What a procedure works on: the model on its device, how it trains, and the examples of the
    training and of the validation split, if there is one."""

    model: nn.Module
    training: Training
    examples: Examples
    validation: Examples | None = None

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return next(self.model.parameters()).device

    @cached_property
    def batching(self) -> Batching:
        """How the training examples are put into batches."""
        return Batching(self.examples, self.training, self.device)

    @cached_property
    def constrained(self) -> list[Constrained]:
        """The modules of the model whose parameters are moved back after an update."""
        return [module for module in self.model.modules() if isinstance(module, Constrained)]


class Procedure(Protocol):
    """One step after another; its state is part of a checkpoint."""

    def prepare(self, setting: Setting) -> None:
        """Make the optimisers; comes before all else."""
        ...

    def step(self, objective: Objective, batch: Batch, clock: Clock) -> Terms:
        """Train on one batch and return the objective's terms."""
        ...

    def epoch_done(self) -> Mapping[str, float]:
        """Look at the model after an epoch, in evaluation mode, with the weights that are trained
        and not their average; what is to be logged."""
        ...

    def scale_rate(self, factor: float) -> None:
        """Make the learning rate `factor` times the one that the run began with."""
        ...

    def restart(self) -> None:
        """Begin anew with fresh optimisers, from weights of before."""
        ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


class Joint:
    """All parameters, one optimiser, one gradient step a batch."""

    def __init__(self) -> None:
        self._setting: Setting | None = None
        self._optimizer: torch.optim.Optimizer | None = None

    @property
    def setting(self) -> Setting:
        if self._setting is None:
            raise RuntimeError("prepare() comes before the first step")
        return self._setting

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        if self._optimizer is None:
            raise RuntimeError("prepare() comes before the first step")
        return self._optimizer

    def prepare(self, setting: Setting) -> None:
        self._setting = setting
        self.restart()

    def restart(self) -> None:
        model, training = self.setting.model, self.setting.training
        self._optimizer = make_optimizer(model.parameters(), training.optimizer)

    def step(self, objective: Objective, batch: Batch, clock: Clock) -> Terms:
        terms = objective(self.setting.model, batch, clock)
        self.optimizer.zero_grad(set_to_none=True)
        terms["loss"].backward()  # type: ignore[no-untyped-call]
        update(self.setting, self.optimizer)
        return terms

    def epoch_done(self) -> Mapping[str, float]:
        return {}

    def scale_rate(self, factor: float) -> None:
        scale(self.optimizer, self.setting.training.optimizer.lr * factor)

    def state_dict(self) -> dict[str, Any]:
        return self.optimizer.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.optimizer.load_state_dict(state)


def make_optimizer(
    parameters: Iterable[nn.Parameter], settings: Optimizer
) -> torch.optim.Optimizer:
    """The optimiser that `settings` describe, in its fused form: one kernel for all parameters."""
    if isinstance(settings, Sgd):
        return torch.optim.SGD(parameters, lr=settings.lr, fused=True)
    return torch.optim.Adam(
        parameters, lr=settings.lr, betas=settings.betas, eps=settings.eps, fused=True
    )


def scale(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of all parameters."""
    for group in optimizer.param_groups:
        group["lr"] = rate


def clip(setting: Setting) -> None:
    """Shorten the gradient of all parameters together to the norm that the training allows."""
    if setting.training.clip is not None:
        torch.nn.utils.clip_grad_norm_(setting.model.parameters(), setting.training.clip)


def update(setting: Setting, *optimizers: torch.optim.Optimizer) -> None:
    """Clip, let the optimisers step, and move back what lies on a constraint."""
    clip(setting)
    for optimizer in optimizers:
        optimizer.step()
    for module in setting.constrained:
        module.rescale()
