"""The streams of a PixelCNN++ (Salimans et al., 2017): causal convolutions in gated residual blocks
in a U of levels, each of which halves the image.

The vertical stream is made of `DownConvolution`s, the horizontal one, which sees the vertical one,
of `DownRightConvolution`s. Shapes: N images.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vaebench.models.activations import elu
from vaebench.models.weight_norm import Convolution, TransposedConvolution

GATE_STD = 0.1  # of what makes gates, after the pass over data

_DROPOUT = 0.5

Maps = Sequence[Sequence[Tensor]]  # of every level, from the finest: one for each block


class CausalConvolution(nn.Module):
    """[N, inputs, H, W] -> [N, outputs, H, W]: a kernel whose lowest row is that of the pixel.

    `right` counts its columns on the pixel's right. With stride 2 every second pixel has an output.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: tuple[int, int],
        *,
        right: int,
        stride: int,
        std: float,
    ) -> None:
        super().__init__()
        self.above, self.left, self.right = size[0] - 1, size[1] - 1 - right, right
        self.convolution = Convolution(inputs, outputs, size, stride=stride, std=std)

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.convolution(F.pad(x, (self.left, self.right, self.above, 0)))
        return outputs


class DownConvolution(CausalConvolution):
    """It sees as much on the left as on the right."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: tuple[int, int] = (2, 3),
        *,
        stride: int = 1,
        std: float = 1.0,
    ) -> None:
        right = (size[1] - 1) // 2
        super().__init__(inputs, outputs, size, right=right, stride=stride, std=std)

    @staticmethod
    def widening(channels: int) -> TransposedConvolution:
        """To twice the rows and columns, of which a pixel is seen in two rows and three columns."""
        sides = (0, 1)
        return TransposedConvolution(
            channels, channels, (2, 3), stride=2, padding=sides, output_padding=sides
        )


class DownRightConvolution(CausalConvolution):
    """It sees the pixel's column and what is on the left."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: tuple[int, int] = (2, 2),
        *,
        stride: int = 1,
        std: float = 1.0,
    ) -> None:
        super().__init__(inputs, outputs, size, right=0, stride=stride, std=std)

    @staticmethod
    def widening(channels: int) -> TransposedConvolution:
        """To twice the rows and columns, four pixels from each."""
        return TransposedConvolution(channels, channels, 2, stride=2)


Direction = type[DownConvolution] | type[DownRightConvolution]


class Level(nn.Module):
    """A stream: blocks on the way in, coarser levels, and as many blocks on the way out. Those look
    back at the outputs of the blocks on the way in, the last one first.

    Innermost, the first on the way out does not, for that is its input.
    """

    def __init__(
        self, direction: Direction, channels: int, blocks: int, levels: int, *, sees_other: bool
    ) -> None:
        super().__init__()
        self.inward, self.outward = (
            nn.ModuleList(GatedBlock(direction, channels, sees_other) for _ in range(blocks))
            for _ in range(2)
        )
        innermost = levels == 1
        self.coarser = (
            None if innermost else Coarser(direction, channels, blocks, levels - 1, sees_other)
        )
        looking_back = blocks - 1 if innermost else blocks
        self.skips = nn.ModuleList(
            Convolution(2 * channels, channels, 1) for _ in range(looking_back)
        )

    def forward(self, u: Tensor, conditions: Maps, other: Maps | None) -> tuple[Tensor, Maps]:
        """What comes out, and the outputs of all blocks; `other` has those of the other stream."""
        blocks = len(self.inward) + len(self.outward)
        shown = zip(conditions[0], other[0] if other else [None] * blocks, strict=True)
        outputs: list[Tensor] = []
        for block in self.inward:
            u = block(u, *next(shown))
            outputs.append(u)
        inward = outputs.copy()
        of_coarser: Maps = []
        if self.coarser is not None:
            u, of_coarser = self.coarser(u, conditions[1:], other[1:] if other else None)
        no_skips = [None] * (len(self.outward) - len(self.skips))
        for block, skip in zip(self.outward, [*no_skips, *self.skips], strict=True):
            seen = inward.pop()
            if skip is not None:
                u = u + skip(both_signs(seen))
            u = block(u, *next(shown))
            outputs.append(u)
        return u, [outputs, *of_coarser]


class Coarser(nn.Module):
    """Half the rows and columns, the level there, and as many as before again."""

    def __init__(
        self, direction: Direction, channels: int, blocks: int, levels: int, sees_other: bool
    ) -> None:
        super().__init__()
        self.narrow: nn.Module = direction(channels, channels, stride=2)
        self.level = Level(direction, channels, blocks, levels, sees_other=sees_other)
        self.skip = Convolution(2 * channels, channels, 1)
        self.widen = direction.widening(channels)

    def forward(self, u: Tensor, conditions: Maps, other: Maps | None) -> tuple[Tensor, Maps]:
        narrow = self.narrow(u)
        inner, outputs = self.level(narrow, conditions, other)
        return self.widen(inner + self.skip(both_signs(narrow))), outputs


class GatedBlock(nn.Module):
    """A gated residual block with dropout: u [N, channels, H, W] -> the same, with a condition [N,
    2 channels, H, W] on its gates. `beside` is what the other stream has made of the same block."""

    def __init__(self, direction: Direction, channels: int, sees_other: bool) -> None:
        super().__init__()
        both = 2 * channels
        self.first, self.second = direction(both, channels), direction(both, channels)
        self.beside = Convolution(both, channels, 1) if sees_other else None
        self.gates = direction(both, both, std=GATE_STD)

    def forward(self, u: Tensor, condition: Tensor, beside: Tensor | None) -> Tensor:
        h = self.second(both_signs(self.first(both_signs(u))))
        if self.beside is not None and beside is not None:
            h = h + self.beside(both_signs(beside))
        h = F.dropout(both_signs(h), _DROPOUT, self.training)
        values, gates = (self.gates(h) + condition).chunk(2, 1)
        outputs: Tensor = u + values * torch.sigmoid(gates)
        return outputs


def both_signs(x: Tensor) -> Tensor:
    """ELU of x and of -x, twice as many channels."""
    return elu(torch.cat([x, -x], 1))
