"""The PixelCNN decoder of MAE's binary images, as the authors' code has it: weight-normalised
layers, six masked residual blocks with five more around them, and no gates.

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
from vaebench.models.weight_norm import Convolution, Linear, WeightNormalised

_KERNELS = (7, 7, 7, 5, 5, 3, 3)
_CHUNK = 25 * 784  # in evaluation, the pixels whose activations fit in a CPU's cache


class NormalisedPixelCnnDecoder(BinaryPixelCnn):
    """p(x|z) of binary images [1, H, W], one pixel after another; the paper has 64 channels."""

    def __init__(self, latent: int, shape: Sequence[int], channels: int) -> None:
        super().__init__(shape, channels)
        kernel = _KERNELS[0]
        self.maps = Linear(latent, MAPS * math.prod(shape))
        self.first = Convolution(
            1 + MAPS, channels, kernel, padding=kernel // 2, mask=first_mask(kernel)
        )
        self.blocks = nn.ModuleList(NormalisedBottleneck(channels, k) for k in _KERNELS[1:])
        self.skips = nn.ModuleList(NormalisedBottleneck(channels, k) for k in _KERNELS[1:-1])
        self.head = Convolution(channels, channels, 1)
        self.output = Convolution(channels, 1, 1)
        self.to(memory_format=torch.channels_last)

    @property
    def chunk(self) -> int:
        """In evaluation, the pixels whose activations fit in a CPU's cache."""
        return _CHUNK

    def maps_of(self, z: Tensor) -> Tensor:
        """What is shown of the codes: [N, K] -> [N, 4, H, W]."""
        return self._maps_from(self.maps(z))

    def logits_of(self, inputs: Tensor) -> Tensor:
        """Images beside their maps [N, 1 + 4, H, W] -> [N, 1, H, W]."""
        h = connected(elu(self.first(inputs)), self.blocks, self.skips)
        logits: Tensor = self.output(elu(self.head(h)))
        return logits

    def weights(self) -> Weights:
        """All of them normalised and masked."""
        of_maps = _affine(self.maps)
        return Weights(
            lambda z: self._maps_from(F.linear(z, *of_maps)),
            _affine(self.first),
            [cast(NormalisedBottleneck, block).weights() for block in self.blocks],
            [cast(NormalisedBottleneck, block).weights() for block in self.skips],
            _affine(self.head),
            _affine(self.output),
        )

    def _maps_from(self, outputs: Tensor) -> Tensor:
        return elu(torch.unflatten(outputs, 1, (MAPS, *self.shape[1:])))


class NormalisedBottleneck(nn.Module):
    """1x1 to half the channels, masked, and 1x1 back, added to the input.

    Only the upper kernel // 2 + 1 rows of the masked kernel are kept; those below would be masked.
    """

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        half, self.above = channels // 2, kernel // 2
        self.narrow = Convolution(channels, half, 1)
        self.masked = Convolution(
            half,
            half,
            (self.above + 1, kernel),
            padding=(0, self.above),
            mask=cropped_mask(kernel),
        )
        self.widen = Convolution(half, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = F.pad(elu(self.narrow(x)), (0, 0, self.above, 0))
        return elu(self.widen(elu(self.masked(h))).add_(x))

    def weights(self) -> BottleneckWeights:
        """All of them normalised and masked."""
        return BottleneckWeights(
            *(_affine(layer) for layer in (self.narrow, self.masked, self.widen))
        )


def _affine(layer: WeightNormalised) -> Affine:
    return Affine(layer.weight, layer.bias)
