"""The PixelCNN decoder of DU-VAE's images, as the authors' code has it.

12 masked residual blocks with 11 more around them; there are no gates. Masked taps have no
gradient. In the authors' code they have one: it moves no weight, but counts in the norm by which
gradients are clipped.

Shapes: N images or their codes, K latent size.
"""

import math
from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vaebench.models.activations import elu
from vaebench.models.binary_pixelcnn import (
    MAPS,
    Affine,
    BinaryPixelCnn,
    BottleneckWeights,
    Weights,
    connected,
    cropped_mask,
    first_mask,
)

_KERNELS = (7, 7, 7, 7, 7, 5, 5, 5, 5, 3, 3, 3, 3)
_CHUNK = 25 * 784  # in evaluation, the pixels whose activations fit in a CPU's cache


class PixelCnnDecoder(BinaryPixelCnn):
    """p(x|z) of binary images [1, H, W], one pixel after another; the paper has 64 channels."""

    def __init__(self, latent: int, shape: Sequence[int], channels: int) -> None:
        super().__init__(shape, channels)
        self.maps = nn.Linear(latent, MAPS * math.prod(shape))
        self.first = FirstConvolution(channels, _KERNELS[0])
        self.first_norm = nn.BatchNorm2d(channels)
        self.blocks = nn.ModuleList(Bottleneck(channels, kernel) for kernel in _KERNELS[1:])
        self.skips = nn.ModuleList(Bottleneck(channels, kernel) for kernel in _KERNELS[1:-1])
        self.head = nn.Conv2d(channels, channels, 1, bias=False)
        self.head_norm = nn.BatchNorm2d(channels)
        self.output = nn.Conv2d(channels, 1, 1, bias=False)
        nn.init.xavier_uniform_(self.maps.weight)
        nn.init.zeros_(self.maps.bias)
        self.to(memory_format=torch.channels_last)

    @property
    def chunk(self) -> int:
        """In evaluation, the pixels whose activations fit in a CPU's cache."""
        return _CHUNK

    def maps_of(self, z: Tensor) -> Tensor:
        """What is shown of the codes: [N, K] -> [N, 4, H, W]."""
        return torch.unflatten(self.maps(z), 1, (MAPS, *self.shape[1:]))

    def logits_of(self, inputs: Tensor) -> Tensor:
        """Images beside their maps [N, 1 + 4, H, W] -> [N, 1, H, W]."""
        h = connected(elu(self.first_norm(self.first(inputs))), self.blocks, self.skips)
        logits: Tensor = self.output(elu(self.head_norm(self.head(h))))
        return logits

    def weights(self) -> Weights:
        """Those of evaluation mode: batch norms are folded into the convolutions before them."""
        return Weights(
            self.maps_of,
            _fold(self.first.masked_weight, self.first_norm),
            [cast(Bottleneck, block).weights() for block in self.blocks],
            [cast(Bottleneck, block).weights() for block in self.skips],
            _fold(self.head.weight, self.head_norm),
            Affine(self.output.weight, None),
        )


class FirstConvolution(nn.Module):
    """[N, 1 + 4, H, W] -> [N, outputs, H, W]: of the image it sees what comes before a pixel, of
    the maps the full window."""

    def __init__(self, outputs: int, kernel: int) -> None:
        super().__init__()
        self.mask: Tensor
        self.register_buffer("mask", first_mask(kernel), persistent=False)
        self.weight = _normal(outputs, 1 + MAPS, kernel, rows=kernel)

    @property
    def masked_weight(self) -> Tensor:
        return self.weight * self.mask

    def forward(self, inputs: Tensor) -> Tensor:
        return F.conv2d(inputs, self.masked_weight, padding=self.mask.shape[-1] // 2)


class MaskedConvolution(nn.Module):
    """[N, C, H, W] -> [N, C, H, W]: it sees the pixel and what comes before it.

    Only the upper kernel // 2 + 1 rows of the kernel are kept; those below would be masked.
    """

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.kernel, self.above = kernel, kernel // 2
        self.mask: Tensor
        self.register_buffer("mask", cropped_mask(kernel), persistent=False)
        self.weight = _normal(channels, channels, kernel, rows=self.above + 1)

    @property
    def masked_weight(self) -> Tensor:
        return self.weight * self.mask

    def forward(self, h: Tensor) -> Tensor:
        h = F.pad(h, (0, 0, self.above, 0))
        return F.conv2d(h, self.masked_weight, padding=(0, self.above))


class Bottleneck(nn.Module):
    """1x1 to half the channels, masked, and 1x1 back, each with batch norm, added to the input."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        half = channels // 2
        self.narrow = nn.Conv2d(channels, half, 1, bias=False)
        self.narrow_norm = nn.BatchNorm2d(half)
        self.masked = MaskedConvolution(half, kernel)
        self.masked_norm = nn.BatchNorm2d(half)
        self.widen = nn.Conv2d(half, channels, 1, bias=False)
        self.widen_norm = nn.BatchNorm2d(channels)
        for layer in (self.narrow, self.widen):
            nn.init.normal_(layer.weight, std=math.sqrt(2 / layer.out_channels))

    def forward(self, x: Tensor) -> Tensor:
        h = elu(self.narrow_norm(self.narrow(x)))
        h = elu(self.masked_norm(self.masked(h)))
        return elu(self.widen_norm(self.widen(h)).add_(x))

    def weights(self) -> BottleneckWeights:
        """Those of evaluation mode."""
        return BottleneckWeights(
            _fold(self.narrow.weight, self.narrow_norm),
            _fold(self.masked.masked_weight, self.masked_norm),
            _fold(self.widen.weight, self.widen_norm),
        )


def _fold(weight: Tensor, norm: nn.BatchNorm2d) -> Affine:
    """The convolution that does in evaluation mode what it does before `norm`."""
    mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    scale = norm.weight / torch.sqrt(variance + norm.eps)
    return Affine(weight * scale.view(-1, 1, 1, 1), norm.bias - mean * scale)


def _normal(outputs: int, inputs: int, kernel: int, rows: int) -> nn.Parameter:
    """The upper rows of a kernel from N(0, 2 / (kernel^2 outputs)), masked or not."""
    std = math.sqrt(2 / (kernel**2 * outputs))
    return nn.Parameter(std * torch.randn(outputs, inputs, rows, kernel))
