"""Classifiers, and the convolutional ones whose features measure distances between images."""

import math
from collections.abc import Sequence

from torch import Tensor, nn


class Classifier(nn.Module):
    """Data, such as images [B, C, H, W] in [0, 1] -> logits, by a linear layer on `features`."""

    def __init__(self, features: nn.Module, size: int, outputs: int) -> None:
        super().__init__()
        self.body = features
        self.output = nn.Linear(size, outputs)

    def features(self, x: Tensor) -> Tensor:
        """[B, *shape] -> [B, F]."""
        found: Tensor = self.body(x)
        return found

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.output(self.features(x))
        return logits


def pooled(shape: Sequence[int], filters: Sequence[int], size: int, outputs: int) -> Classifier:
    """As LeNet: 5x5 convolutions, ReLU and 2x2 max-pooling, then `size` ReLU features."""
    channels, height, width = shape
    layers: list[nn.Module] = []
    for wider in filters:
        layers += [nn.Conv2d(channels, wider, 5), nn.ReLU(), nn.MaxPool2d(2)]
        channels, height, width = wider, (height - 4) // 2, (width - 4) // 2
    _check_left(shape, filters, height, width)
    inputs = math.prod((channels, height, width))
    layers += [nn.Flatten(), nn.Linear(inputs, size), nn.ReLU()]
    return Classifier(nn.Sequential(*layers), size, outputs)


def strided(shape: Sequence[int], filters: Sequence[int], outputs: int) -> Classifier:
    """4x4 convolutions of stride 2 with batch norm and ReLU; features are the means over places."""
    channels, height, width = shape
    layers: list[nn.Module] = []
    for wider in filters:
        layers += [nn.Conv2d(channels, wider, 4, 2, 1, bias=False), nn.BatchNorm2d(wider)]
        layers += [nn.ReLU()]
        channels, height, width = wider, height // 2, width // 2
    _check_left(shape, filters, height, width)
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    return Classifier(nn.Sequential(*layers), channels, outputs)


def _check_left(shape: Sequence[int], filters: Sequence[int], height: int, width: int) -> None:
    if min(height, width) < 1:
        size = f"{shape[1]}x{shape[2]}"
        raise ValueError(f"images of {size} are too small for {len(filters)} convolutions")
