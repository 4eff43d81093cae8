"""The PixelCNN decoder of DU-VAE's images, as the authors' code has it.

One masked convolution of the image beside four maps made of z, 12 masked residual blocks with 11
more around them, and a head; there are no gates. Of a masked kernel only the rows that see
something are kept, and the image is padded on top alone, which saves a third of the arithmetic.
Masked taps have no gradient. In the authors' code they have one: it moves no weight, but counts in
the norm by which gradients are clipped.

Shapes: B batch, S samples, N images or their codes, K latent size.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vaebench.estimators import bernoulli
from vaebench.models.activations import elu

_KERNELS = (7, 7, 7, 7, 7, 5, 5, 5, 5, 3, 3, 3, 3)
_MAPS = 4
# In evaluation, the pixels whose activations fit in a CPU's cache, and those elsewhere in memory.
_CHUNK, _CHUNK_ELSEWHERE = 25 * 784, 500 * 784

Layer = Callable[[Tensor], Tensor]


class PixelCnnDecoder(nn.Module):
    """p(x|z) of binary images [1, H, W], one pixel after another; the paper has 64 channels."""

    def __init__(self, latent: int, shape: Sequence[int], channels: int) -> None:
        super().__init__()
        if len(shape) != 3 or shape[0] != 1:
            raise ValueError(f"a PixelCNN takes images of one channel, not of shape {tuple(shape)}")
        if channels < 2 or channels % 2:
            raise ValueError(f"channels is {channels!r}; expected an even number from 2")
        self.shape = tuple(shape)
        self.maps = nn.Linear(latent, _MAPS * math.prod(shape))
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
    def constant_variance(self) -> None:
        """A Bernoulli has no variance of its own."""

    def maps_of(self, z: Tensor) -> Tensor:
        """What is shown of the codes: [N, K] -> [N, 4, H, W]."""
        return torch.unflatten(self.maps(z), 1, (_MAPS, *self.shape[1:]))

    def logits(self, x: Tensor, z: Tensor) -> Tensor:
        """Of every pixel given those before it: x [B, 1, H, W], z [S, B, K] -> [S, B, 1, H, W]."""
        seen = x.expand(len(z), *x.shape).flatten(0, 1)
        h = self.first(torch.cat([seen, self.maps_of(z.flatten(0, 1))], 1))
        h = _connected(elu(self.first_norm(h)), self.blocks, self.skips)
        h = elu(self.head_norm(self.head(h)))
        return torch.unflatten(self.output(h), 0, z.shape[:2])

    def log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z) in nats, summed over pixels: x [B, 1, H, W], z [S, B, K] -> [S, B]."""
        evaluating = not self.training and not torch.is_grad_enabled()
        if evaluating and not torch.compiler.is_compiling():  # it would unroll the chunks
            found: Tensor = self._log_prob_in_chunks(x, z)
            return found
        logits = self.logits(x, z).to(x.dtype)  # from bfloat16 under autocast
        return bernoulli.log_likelihood(logits.flatten(2), x.flatten(1))

    def mean(self, z: Tensor) -> Tensor:
        """TypeError: a sum over all images."""
        raise TypeError("a PixelCNN has no mean in closed form, for its pixels are not independent")

    @torch.no_grad()
    def sample(self, z: Tensor) -> Tensor:
        """Binary images drawn from p(x|z) in evaluation mode: [..., K] -> [..., 1, H, W]."""
        folded = _Folded(self, by_rows=True)
        a_row = self.shape[2]  # is computed at a time
        drawn = [folded.draw(self.maps_of(some)) for some in _chunks(z.flatten(0, -2), a_row)]
        return torch.unflatten(torch.cat(drawn), 0, z.shape[:-1])

    def _log_prob_in_chunks(self, x: Tensor, z: Tensor) -> Tensor:
        """`log_prob` in evaluation mode and without gradients."""
        folded = _Folded(self, by_rows=False)  # anew in every call, so never out of date
        codes, start, found = z.flatten(0, 1), 0, []
        for some in _chunks(codes, math.prod(self.shape)):
            images = x[torch.arange(start, start + len(some), device=x.device) % len(x)]
            logits = folded.logits(torch.cat([images, self.maps_of(some)], 1)).to(x.dtype)
            found.append(bernoulli.log_likelihood(logits.flatten(1)[None], images.flatten(1))[0])
            start += len(some)
        return torch.cat(found).view(z.shape[:2])


class FirstConvolution(nn.Module):
    """[N, 1 + 4, H, W] -> [N, outputs, H, W]: of the image it sees what comes before a pixel, of
    the maps the full window."""

    def __init__(self, outputs: int, kernel: int) -> None:
        super().__init__()
        mask = torch.ones(1 + _MAPS, kernel, kernel)
        mask[0, kernel // 2, kernel // 2 :] = 0
        mask[0, kernel // 2 + 1 :] = 0
        self.mask: Tensor
        self.register_buffer("mask", mask, persistent=False)
        self.weight = _normal(outputs, 1 + _MAPS, kernel, rows=kernel)

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
        mask = torch.ones(self.above + 1, kernel)
        mask[-1, kernel // 2 + 1 :] = 0
        self.mask: Tensor
        self.register_buffer("mask", mask, persistent=False)
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


class _Folded:
    """The network in evaluation mode, its batch norms folded into the convolutions before them."""

    def __init__(self, decoder: PixelCnnDecoder, *, by_rows: bool) -> None:
        self.first = _fold(decoder.first.masked_weight, decoder.first_norm)
        self.blocks, self.skips = (
            [_FoldedBottleneck(cast(Bottleneck, block), by_rows=by_rows) for block in blocks]
            for blocks in (decoder.blocks, decoder.skips)
        )
        self.head = _fold(decoder.head.weight, decoder.head_norm)
        self.output = decoder.output.weight

    def logits(self, inputs: Tensor) -> Tensor:
        """The image beside the maps [N, 1 + 4, H, W] -> [N, 1, H, W]."""
        weight, bias = self.first
        return self._logits_of(F.conv2d(inputs, weight, bias, padding=_KERNELS[0] // 2))

    def draw(self, maps: Tensor) -> Tensor:
        """Images [N, 1, H, W], drawn pixel by pixel; what lies above a row is computed once."""
        (count, _, height, width), above = maps.shape, _KERNELS[0] // 2
        weight, bias = self.first
        of_maps = F.conv2d(maps, weight[:, 1:], bias, padding=_KERNELS[0] // 2)
        kernel = weight[:, :1, : above + 1]
        x = maps.new_zeros(count, 1, above + height, width)
        blocks = (*self.blocks, *self.skips)
        for block in blocks:
            block.move_to_top()
        for row in range(height):
            for column in range(width):
                of_image = F.conv2d(x[:, :, row : row + above + 1], kernel, padding=(0, above))
                logits = self._logits_of(of_maps[:, :, row : row + 1] + of_image)
                drawn = torch.bernoulli(torch.sigmoid(logits[:, 0, 0, column].to(x.dtype)))
                x[:, 0, above + row, column] = drawn
            for block in blocks:
                block.move_down()
        return x[:, :, above:].contiguous()

    def _logits_of(self, h: Tensor) -> Tensor:
        h = _connected(elu(h), self.blocks, self.skips)
        return F.conv2d(elu(F.conv2d(h, *self.head)), self.output)


class _FoldedBottleneck:
    """A block of the folded network, for whole images or for one row of them after another."""

    def __init__(self, block: Bottleneck, *, by_rows: bool) -> None:
        self.narrow = _fold(block.narrow.weight, block.narrow_norm)
        self.masked = _fold(block.masked.masked_weight, block.masked_norm)
        self.widen = _fold(block.widen.weight, block.widen_norm)
        self.above, self.by_rows = block.masked.above, by_rows
        self._rows_above: Tensor | None = None
        self._rows_from_here: Tensor | None = None

    def __call__(self, x: Tensor) -> Tensor:
        h = elu(F.conv2d(x, *self.narrow))
        if self._rows_above is None:
            h = F.pad(h, (0, 0, self.above, 0))
        else:
            h = torch.cat([self._rows_above, h], 2)
        if self.by_rows:
            self._rows_from_here = h[:, :, 1:]
        weight, bias = self.masked
        h = elu(F.conv2d(h, weight, bias, padding=(0, self.above)))
        return elu(F.conv2d(h, *self.widen).add_(x))

    def move_to_top(self) -> None:
        """The next row is the first of an image."""
        self._rows_above = None

    def move_down(self) -> None:
        """The row of the last call is final; the next one is that below it."""
        self._rows_above = self._rows_from_here


def _connected(h: Tensor, blocks: Iterable[Layer], skips: Iterable[Layer]) -> Tensor:
    """Block after block; to the input of each from the third on, and to the end, a skip block adds
    what it makes of the input two blocks before."""
    waiting, around = [h], iter(skips)
    for number, block in enumerate(blocks):
        if number >= 2:
            h = h + next(around)(waiting.pop(0))
        h = block(h)
        waiting.append(h)
    return h + next(around)(waiting.pop(0))


def _fold(weight: Tensor, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution that does in evaluation mode what it does before `norm`."""
    mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    scale = norm.weight / torch.sqrt(variance + norm.eps)
    return weight * scale.view(-1, 1, 1, 1), norm.bias - mean * scale


def _normal(outputs: int, inputs: int, kernel: int, rows: int) -> nn.Parameter:
    """The upper rows of a kernel from N(0, 2 / (kernel^2 outputs)), masked or not."""
    std = math.sqrt(2 / (kernel**2 * outputs))
    return nn.Parameter(std * torch.randn(outputs, inputs, rows, kernel))


def _chunks(codes: Tensor, pixels: int) -> Sequence[Tensor]:
    """Codes [N, K], so many at a time that the activations of `pixels` each stay in the cache."""
    most = _CHUNK if codes.device.type == "cpu" else _CHUNK_ELSEWHERE
    return torch.split(codes, max(1, most // pixels))
