"""The average of weights over training (Polyak & Juditsky, 1992), as MAE's code has it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from vaebench.models.parts import Constrained


class Average:
    """An average of a model's parameters: from what they are now it moves towards them, after every
    step, by the share 1 - decay of the distance. Buffers are not averaged."""

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._share = 1 - decay
        self._parameters: list[Tensor] = list(model.parameters())
        self._averages = [parameter.detach().clone() for parameter in self._parameters]
        self._constrained = [m for m in model.modules() if isinstance(m, Constrained)]

    @torch.no_grad()
    def update(self) -> None:
        """After a step."""
        torch._foreach_lerp_(self._averages, self._parameters, self._share)

    @torch.no_grad()
    def put(self) -> None:
        """Give the average to the model; what lies on a constraint is moved back to it."""
        _copy(self._averages, self._parameters)
        for module in self._constrained:
            module.rescale()

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Within it the model has the average's weights, and afterwards its own again."""
        trained = [parameter.detach().clone() for parameter in self._parameters]
        self.put()
        try:
            yield
        finally:
            _copy(trained, self._parameters)

    def state_dict(self) -> list[Tensor]:
        """The average, in the order of the model's parameters."""
        return self._averages

    def load_state_dict(self, state: Sequence[Tensor]) -> None:
        """Go on from a state of `state_dict`."""
        _copy(state, self._averages)


@torch.no_grad()
def _copy(sources: Sequence[Tensor], targets: Sequence[Tensor]) -> None:
    for source, target in zip(sources, targets, strict=True):
        target.copy_(source)
