"""The decoder of MAE's CIFAR-10 models, a PixelCNN++ (Salimans et al., 2017) that sees a code.

The skips of the innermost level's first block on the way out, which the authors' code has and
never uses, are left out.

Shapes: B batch, S samples, N images or their codes, K latent size.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vaebench.estimators import logistic_mixture
from vaebench.models.activations import elu
from vaebench.models.gated_streams import (
    GATE_STD,
    DownConvolution,
    DownRightConvolution,
    Level,
    Maps,
    both_signs,
)
from vaebench.models.streaming import column_of, row_of, streaming
from vaebench.models.weight_norm import Convolution, TransposedConvolution

_LEVELS = 3
_DRAWN = 256  # images at a time


class PixelCnnPlusPlusDecoder(nn.Module):
    """p(x|z) of colour images [3, H, W] with the 256 values of a byte in [-1, 1], given flat codes
    that are maps `latent`, [C, H / 4, W / 4] (MAE, Appendix B.2).

    `blocks` of each stream on the way into a level and out of it, `components` of the mixture of
    logistics. The paper: 16 x 8 x 8, 96 channels, 5 blocks; its code: 10 components.
    """

    def __init__(
        self,
        latent: Sequence[int],
        shape: Sequence[int],
        channels: int,
        blocks: int,
        components: int,
    ) -> None:
        super().__init__()
        maps, *sides = latent
        if shape[0] != 3 or [4 * side for side in sides] != list(shape[1:]):
            raise ValueError(
                f"a PixelCNN++ takes images of three colours, four times as high and wide as their "
                f"codes, not of shape {tuple(shape)} with codes of {tuple(latent)}"
            )
        if maps % 4:
            raise ValueError(f"a code has {maps} maps; expected a multiple of 4")
        self.latent, self.shape, self.channels = tuple(latent), tuple(shape), channels
        self.conditions = Conditions(maps, channels, blocks)
        self.rows_above = DownConvolution(3, channels, (2, 3))
        self.row_above = DownConvolution(3, channels, (1, 3))
        self.left = DownRightConvolution(3, channels, (2, 1))
        self.vertical = Level(DownConvolution, channels, blocks, _LEVELS, sees_other=False)
        self.horizontal = Level(DownRightConvolution, channels, blocks, _LEVELS, sees_other=True)
        self.head = Head(channels, logistic_mixture.PARAMETERS * components)
        self.to(memory_format=torch.channels_last)

    @property
    def constant_variance(self) -> None:
        """A mixture of logistics has no variance of its own."""

    def mixtures(self, x: Tensor, z: Tensor) -> Tensor:
        """Parameters of every pixel's mixture given the pixels before it: x [B, 3, H, W],
        z [S, B, K] -> [S, B, 10 components, H, W]."""
        seen = x.expand(len(z), *x.shape).flatten(0, 1)
        conditions = self.conditions(self._maps(z))
        # A row further down and a column further right, for a pixel must not see itself.
        vertical = F.pad(self.rows_above(seen), (0, 0, 1, -1))
        horizontal = F.pad(self.row_above(seen), (0, 0, 1, -1)) + F.pad(self.left(seen), (1, -1))
        _, other = self.vertical(vertical, conditions, None)
        u, _ = self.horizontal(horizontal, conditions, other)
        return torch.unflatten(self.head(u), 0, z.shape[:2])

    def log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z) in nats, summed over pixels: x [B, 3, H, W], z [S, B, K] -> [S, B]."""
        mixtures = self.mixtures(x, z).to(x.dtype)  # from bfloat16 under autocast
        return logistic_mixture.log_likelihood(mixtures, x)

    def mean(self, z: Tensor) -> Tensor:
        """TypeError: a sum over all images."""
        raise TypeError("a PixelCNN has no mean in closed form, for its pixels are not independent")

    def sample(self, z: Tensor) -> Tensor:
        """Images drawn from p(x|z) in evaluation mode: [..., K] -> [..., 3, H, W]."""
        return self._pixel_by_pixel(z, logistic_mixture.sample)

    def most_likely(self, z: Tensor) -> Tensor:
        """The same, each pixel being the mean of its likeliest component."""
        return self._pixel_by_pixel(z, logistic_mixture.most_likely)

    @torch.no_grad()
    def _pixel_by_pixel(self, z: Tensor, colours: Callable[[Tensor], Tensor]) -> Tensor:
        chunks = torch.split(self._maps(z), _DRAWN)
        drawn = [streaming(self, self.shape[2])._draw(codes, colours) for codes in chunks]
        return torch.cat(drawn).view(*z.shape[:-1], *self.shape)

    def _draw(self, codes: Tensor, colours: Callable[[Tensor], Tensor]) -> Tensor:
        """Images of maps of codes, by a decoder that is streaming; the `colours` [N, 3] of a pixel
        come of its parameters [N, 10 components]."""
        conditions = self.conditions(codes)
        _, height, width = self.shape
        x = codes.new_zeros(len(codes), *self.shape)
        rows_above = row_above = codes.new_zeros(len(codes), self.channels, 1, width)
        for row in range(height):
            of_row = row_of(conditions, row)
            _, other = self.vertical(rows_above, of_row, None)
            left = torch.zeros_like(row_above[..., :1])
            for column in range(width):
                u = row_above[..., column : column + 1] + left
                u, _ = self.horizontal(u, column_of(of_row, column), column_of(other, column))
                x[:, :, row, column] = colours(self.head(u).flatten(1))
                left = self.left(x[:, :, row : row + 1, column : column + 1])
            rows_above = self.rows_above(x[:, :, row : row + 1])
            row_above = self.row_above(x[:, :, row : row + 1])
        return x

    def _maps(self, z: Tensor) -> Tensor:
        """[..., K] -> [N, *latent]."""
        return z.reshape(-1, *self.latent)


class Conditions(nn.Module):
    """Codes [N, C, H / 4, W / 4] -> what every block is shown of them, in both streams the same:
    [N, 2 channels, H, W], and half of that in each coarser level."""

    def __init__(self, maps: int, channels: int, blocks: int) -> None:
        super().__init__()
        half, quarter = maps // 2, maps // 4
        self.twice, self.fourfold = _widening(maps, half), _widening(half, quarter)
        self.last = Convolution(quarter, maps, 1)
        sizes = [maps * 2**level for level in range(_LEVELS)]
        self.narrow = nn.ModuleList(
            Convolution(fine, coarse, 3, stride=2, padding=1) for fine, coarse in pairwise(sizes)
        )
        self.widen = nn.ModuleList(_widening(coarse, fine) for fine, coarse in pairwise(sizes))
        self.inward, self.outward = (
            nn.ModuleList(BlocksConditions(size, channels, blocks) for size in sizes)
            for _ in range(2)
        )

    def forward(self, codes: Tensor) -> Maps:
        inward = [self.last(elu(self.fourfold(elu(self.twice(codes)))))]
        for narrow in self.narrow:
            inward.append(narrow(inward[-1]))
        outward = [inward[-1]]
        for widen in reversed(self.widen):
            outward.insert(0, widen(outward[0]))
        inward = [blocks(h) for blocks, h in zip(self.inward, inward, strict=True)]
        outward = [blocks(h) for blocks, h in zip(self.outward, outward, strict=True)]
        return [[*one, *other] for one, other in zip(inward, outward, strict=True)]


class BlocksConditions(nn.Module):
    """Of a level's blocks on one way, from the code's maps there, [N, maps, H, W]."""

    def __init__(self, maps: int, channels: int, blocks: int) -> None:
        super().__init__()
        self.first = nn.ModuleList(
            Convolution(2 * maps, channels, 3, padding=1) for _ in range(blocks)
        )
        self.second = nn.ModuleList(
            Convolution(2 * channels, 2 * channels, 3, padding=1, std=GATE_STD)
            for _ in range(blocks)
        )

    def forward(self, h: Tensor) -> list[Tensor]:
        h = both_signs(h)
        both = zip(self.first, self.second, strict=True)
        return [second(both_signs(first(h))) for first, second in both]


class Head(nn.Module):
    """[N, channels, H, W] -> [N, outputs, H, W]."""

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        self.hidden = Convolution(channels, channels, 1)
        self.output = Convolution(channels, outputs, 1)

    def forward(self, u: Tensor) -> Tensor:
        outputs: Tensor = self.output(elu(self.hidden(elu(u))))
        return outputs


def _widening(inputs: int, outputs: int) -> TransposedConvolution:
    """To twice the rows and columns."""
    return TransposedConvolution(inputs, outputs, 3, stride=2, padding=1, output_padding=1)
