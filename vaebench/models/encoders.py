"""Encoders: x -> features h."""

import math
from collections.abc import Sequence

from torch import Tensor, nn

from vaebench.models.activations import Tanh


class MlpEncoder(nn.Module):
    """Tanh layers on the flattened input: [B, *shape] -> [B, hidden[-1]] (Burda et al., 2016)."""

    def __init__(self, shape: Sequence[int], hidden: Sequence[int]) -> None:
        super().__init__()
        self.features = hidden[-1]
        self.layers = tanh_layers(math.prod(shape), hidden)

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.layers(x.flatten(1))
        return h


def tanh_layers(inputs: int, hidden: Sequence[int]) -> nn.Sequential:
    """Linear and tanh, alternating."""
    layers: list[nn.Module] = []
    for outputs in hidden:
        layers += [nn.Linear(inputs, outputs), Tanh()]
        inputs = outputs
    return nn.Sequential(*layers)
