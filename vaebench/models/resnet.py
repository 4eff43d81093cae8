"""The residual encoder of DU-VAE's images, as the authors' code has it."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vaebench.models.activations import elu

_BLOCKS = 3


class ResNetEncoder(nn.Module):
    """x [B, C, H, W] -> h [B, features]: three blocks, each of which halves the image, and one
    convolution that is as large as what is left.

    The paper: 64 channels, 512 features.
    """

    def __init__(self, shape: Sequence[int], channels: int, features: int) -> None:
        super().__init__()
        inputs, *size = shape
        blocks: list[nn.Module] = []
        for _ in range(_BLOCKS):
            blocks.append(ResidualBlock(inputs, channels))
            inputs, size = channels, [(side + 1) // 2 for side in size]
        self.features = features
        self.blocks = nn.Sequential(*blocks)
        self.last = nn.Conv2d(channels, features, (size[0], size[1]), bias=False)
        self.norm = nn.BatchNorm2d(features)
        self.apply(_start)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.norm(self.last(self.blocks(x)))
        return elu(h).flatten(1)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, the first with stride 2, added to a 1x1 convolution with stride 2; each
    has no bias and a batch norm."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride=2, bias=False)
        self.shortcut_norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = elu(self.first_norm(self.first(x)))
        h = self.second_norm(self.second(h)).add_(self.shortcut_norm(self.shortcut(x)))
        return elu(h)


def _start(layer: nn.Module) -> None:
    """Kernels k x k from N(0, 2 / (k^2 outputs))."""
    if isinstance(layer, nn.Conv2d):
        taps = math.prod(layer.kernel_size)
        nn.init.normal_(layer.weight, std=math.sqrt(2 / (taps * layer.out_channels)))
