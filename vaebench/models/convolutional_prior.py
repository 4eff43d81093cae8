"""The autoregressive prior of MAE's CIFAR-10 models: flows of masked convolutions over the maps of
a code.

All channels of a position go through a flow in one step, and positions in raster order, every
second flow from the last to the first. The kernels have no rows below their middle, which would
be masked.

Shapes: N codes, K = C H W latent size.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vaebench.models.flow_prior import FlowPrior
from vaebench.models.weight_norm import Convolution

_HIDDEN = 2  # layers between the first and the last
_STD = 0.1  # of the outputs of all layers after the pass over data


class ConvolutionalPrior(FlowPrior):
    """p(z) of flat codes that are maps [C, H, W], a step a position (MAE, Appendix B.2).

    The paper: 16 x 8 x 8, 128 channels within a flow's networks, 8 flows.
    """

    def __init__(self, shape: Sequence[int], channels: int, flows: int) -> None:
        super().__init__(shape, (-2, -1), (MaskedFlow(shape[0], channels) for _ in range(flows)))
        self.to(memory_format=torch.channels_last)


class MaskedFlow(nn.Module):
    """eps = m + z exp(l / 2), maps [N, C, H, W], m and l from the positions before; beside it the
    logarithms of its slopes."""

    def __init__(self, maps: int, channels: int) -> None:
        super().__init__()
        self.shift, self.log_variance = (MaskedNetwork(maps, channels) for _ in range(2))

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        shift, log_slopes = self.shift(z).to(z.dtype), 0.5 * self.log_variance(z).to(z.dtype)
        return shift + z * torch.exp(log_slopes), log_slopes

    def inverse(self, noise: Tensor) -> Tensor:
        """z, position after position."""
        _, maps, height, width = noise.shape
        networks = [_Stepwise(network, noise) for network in (self.shift, self.log_variance)]
        z = _padded(noise, maps)
        for row in range(height):
            for column in range(width):
                shift, log_variance = (step(_window(z, row, column)) for step in networks)
                found = (noise[:, :, row, column] - shift) * torch.exp(-0.5 * log_variance)
                z[:, :, row + 1, column + 1] = found
        return z[:, :, 1:, 1:-1]


class MaskedNetwork(nn.Module):
    """[N, maps, H, W] -> [N, maps, H, W], each position from those before it: four masked
    convolutions, of which two are residual, and one from the input to the output."""

    def __init__(self, maps: int, channels: int) -> None:
        super().__init__()
        self.first = MaskedConvolution(maps, channels, centre=False)
        self.hidden = nn.ModuleList(
            MaskedConvolution(channels, channels, centre=True) for _ in range(_HIDDEN)
        )
        self.last = MaskedConvolution(channels, maps, centre=True)
        self.direct = MaskedConvolution(maps, maps, centre=False)

    def forward(self, z: Tensor) -> Tensor:
        h = F.relu(self.first(z))
        for layer in self.hidden:
            h = F.relu(layer(h) + h)
        outputs: Tensor = self.last(h) + self.direct(z)
        return outputs


class MaskedConvolution(Convolution):
    """[N, inputs, H, W] -> [N, outputs, H, W]: 3x3, and it sees what comes before a position, and
    the position itself with `centre`."""

    def __init__(self, inputs: int, outputs: int, *, centre: bool) -> None:
        mask = torch.tensor([[[1.0, 1.0, 1.0], [1.0, float(centre), 0.0]]])
        super().__init__(inputs, outputs, (2, 3), mask=mask, std=_STD)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(F.pad(x, (1, 1, 1, 0)), self.weight, self.bias)


class _Stepwise:
    """A network that is asked for one position after another, in raster order."""

    def __init__(self, network: MaskedNetwork, like: Tensor) -> None:
        self.first, self.last, self.direct = (
            _flat(layer) for layer in (network.first, network.last, network.direct)
        )
        self.hidden = [_flat(cast(MaskedConvolution, layer)) for layer in network.hidden]
        # Inputs of the hidden layers and of the last, as far as they are known.
        self.known = [_padded(like, len(self.first[1])) for _ in range(_HIDDEN + 1)]
        self.width, self.position = like.shape[3], 0

    def __call__(self, window: Tensor) -> Tensor:
        """What the network says of the next position, [N, maps], from the window of its input."""
        row, column = divmod(self.position, self.width)
        self.position += 1
        h = F.relu(F.linear(window, *self.first))
        for layer, known in zip(self.hidden, self.known, strict=False):
            known[:, :, row + 1, column + 1] = h
            h = F.relu(F.linear(_window(known, row, column), *layer) + h)
        self.known[-1][:, :, row + 1, column + 1] = h
        last = F.linear(_window(self.known[-1], row, column), *self.last)
        return last + F.linear(window, *self.direct)


def _flat(layer: MaskedConvolution) -> tuple[Tensor, Tensor]:
    """Weight and bias of a linear map of windows."""
    return layer.weight.flatten(1), layer.bias


def _padded(like: Tensor, channels: int) -> Tensor:
    """Zeros for maps [N, channels, H, W] and for what kernels see around them."""
    count, _, height, width = like.shape
    return like.new_zeros(count, channels, height + 1, width + 2)


def _window(padded: Tensor, row: int, column: int) -> Tensor:
    """What a kernel sees at a position, [N, channels * 2 * 3]."""
    return padded[:, :, row : row + 2, column : column + 3].flatten(1)
