"""What the PixelCNNs of binary images share: masks, connections, likelihoods in evaluation mode,
and drawing.

An image goes beside four maps made of z through a masked convolution, masked bottlenecks with
others around them, and a head. Of a masked kernel only the rows that see something are kept, and
the image is padded on top alone, which saves a third of the arithmetic. In evaluation the weights
of all layers are worked out once, batch norms and gains included; likelihoods are then computed in
chunks that stay in the cache, and images drawn row by row.

Shapes: B batch, S samples, N images or their codes, K latent size.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vaebench.estimators import bernoulli
from vaebench.models.activations import elu

MAPS = 4
_CHUNK_ELSEWHERE = 500 * 784  # in evaluation, the pixels at a time where there is no CPU's cache

Layer = Callable[[Tensor], Tensor]


class Affine(NamedTuple):
    """A convolution."""

    weight: Tensor
    bias: Tensor | None


class BottleneckWeights(NamedTuple):
    """1x1 to fewer channels, masked, and 1x1 back."""

    narrow: Affine
    masked: Affine
    widen: Affine


class Weights(NamedTuple):
    """Those of a PixelCNN in evaluation mode, and its map from codes [N, K] to [N, 4, H, W]."""

    maps_of: Layer
    first: Affine
    blocks: Sequence[BottleneckWeights]
    skips: Sequence[BottleneckWeights]
    head: Affine
    output: Affine


class BinaryPixelCnn(nn.Module, ABC):
    """p(x|z) of binary images [1, H, W], one pixel after another."""

    def __init__(self, shape: Sequence[int], channels: int) -> None:
        super().__init__()
        if len(shape) != 3 or shape[0] != 1:
            raise ValueError(f"a PixelCNN takes images of one channel, not of shape {tuple(shape)}")
        if channels < 2 or channels % 2:
            raise ValueError(f"channels is {channels!r}; expected an even number from 2")
        self.shape = tuple(shape)

    @abstractmethod
    def maps_of(self, z: Tensor) -> Tensor:
        """What is shown of the codes: [N, K] -> [N, 4, H, W]."""

    @abstractmethod
    def logits_of(self, inputs: Tensor) -> Tensor:
        """Images beside their maps [N, 1 + 4, H, W] -> [N, 1, H, W]."""

    @abstractmethod
    def weights(self) -> Weights:
        """As they are now."""

    @property
    @abstractmethod
    def chunk(self) -> int:
        """In evaluation, the pixels whose activations fit in a CPU's cache."""

    @property
    def constant_variance(self) -> None:
        """A Bernoulli has no variance of its own."""

    def logits(self, x: Tensor, z: Tensor) -> Tensor:
        """Of every pixel given those before it: x [B, 1, H, W], z [S, B, K] -> [S, B, 1, H, W]."""
        seen = x.expand(len(z), *x.shape).flatten(0, 1)
        logits = self.logits_of(torch.cat([seen, self.maps_of(z.flatten(0, 1))], 1))
        return torch.unflatten(logits, 0, z.shape[:2])

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

    def sample(self, z: Tensor) -> Tensor:
        """Binary images drawn from p(x|z) in evaluation mode: [..., K] -> [..., 1, H, W]."""
        return self._drawn(z, torch.bernoulli)

    def most_likely(self, z: Tensor) -> Tensor:
        """The same with the likelier value at each pixel, given those before it."""
        return self._drawn(z, lambda probability: (probability >= 0.5).to(probability.dtype))

    @torch.no_grad()
    def _drawn(self, z: Tensor, choose: Layer) -> Tensor:
        """Images whose every pixel is chosen by its probability of being 1."""
        network = _Plain(self.weights(), by_rows=True)
        a_row = self.shape[2]  # is computed at a time
        drawn = [network.draw(some, choose) for some in self._chunks(z.flatten(0, -2), a_row)]
        return torch.unflatten(torch.cat(drawn), 0, z.shape[:-1])

    def _log_prob_in_chunks(self, x: Tensor, z: Tensor) -> Tensor:
        """`log_prob` in evaluation mode and without gradients."""
        network = _Plain(self.weights(), by_rows=False)  # anew in every call, so never out of date
        start, found = 0, []
        for some in self._chunks(z.flatten(0, 1), math.prod(self.shape)):
            images = x[torch.arange(start, start + len(some), device=x.device) % len(x)]
            logits = network.logits(images, some).to(x.dtype)
            found.append(bernoulli.log_likelihood(logits.flatten(1)[None], images.flatten(1))[0])
            start += len(some)
        return torch.cat(found).view(z.shape[:2])

    def _chunks(self, codes: Tensor, pixels: int) -> Sequence[Tensor]:
        """Codes [N, K], so many at a time that the activations of `pixels` each stay in the
        cache."""
        most = self.chunk if codes.device.type == "cpu" else _CHUNK_ELSEWHERE
        return torch.split(codes, max(1, most // pixels))


class _Plain:
    """The network in evaluation mode, of weights that were worked out before."""

    def __init__(self, weights: Weights, *, by_rows: bool) -> None:
        self.maps_of = weights.maps_of
        self.first, self.head, self.output = weights.first, weights.head, weights.output
        self.above = self.first.weight.shape[-1] // 2
        self.blocks, self.skips = (
            [_PlainBottleneck(block, by_rows=by_rows) for block in blocks]
            for blocks in (weights.blocks, weights.skips)
        )

    def logits(self, x: Tensor, codes: Tensor) -> Tensor:
        """x [N, 1, H, W], codes [N, K] -> [N, 1, H, W]."""
        inputs = torch.cat([x, self.maps_of(codes)], 1)
        return self._logits_of(F.conv2d(inputs, *self.first, padding=self.above))

    def draw(self, codes: Tensor, choose: Layer) -> Tensor:
        """Images [N, 1, H, W], pixel by pixel; what lies above a row is computed once."""
        maps = self.maps_of(codes)
        (count, _, height, width), above = maps.shape, self.above
        weight, bias = self.first
        of_maps = F.conv2d(maps, weight[:, 1:], bias, padding=above)
        kernel = weight[:, :1, : above + 1]
        x = maps.new_zeros(count, 1, above + height, width)
        blocks = (*self.blocks, *self.skips)
        for block in blocks:
            block.move_to_top()
        for row in range(height):
            for column in range(width):
                of_image = F.conv2d(x[:, :, row : row + above + 1], kernel, padding=(0, above))
                logits = self._logits_of(of_maps[:, :, row : row + 1] + of_image)
                chosen = choose(torch.sigmoid(logits[:, 0, 0, column].to(x.dtype)))
                x[:, 0, above + row, column] = chosen
            for block in blocks:
                block.move_down()
        return x[:, :, above:].contiguous()

    def _logits_of(self, h: Tensor) -> Tensor:
        h = connected(elu(h), self.blocks, self.skips)
        return F.conv2d(elu(F.conv2d(h, *self.head)), *self.output)


class _PlainBottleneck:
    """A block of it, for whole images or for one row of them after another."""

    def __init__(self, weights: BottleneckWeights, *, by_rows: bool) -> None:
        self.narrow, self.masked, self.widen = weights
        self.above, self.by_rows = self.masked.weight.shape[2] - 1, by_rows
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
        h = elu(F.conv2d(h, *self.masked, padding=(0, self.above)))
        return elu(F.conv2d(h, *self.widen).add_(x))

    def move_to_top(self) -> None:
        """The next row is the first of an image."""
        self._rows_above = None

    def move_down(self) -> None:
        """The row of the last call is final; the next one is that below it."""
        self._rows_above = self._rows_from_here


def connected(h: Tensor, blocks: Iterable[Layer], skips: Iterable[Layer]) -> Tensor:
    """Block after block; to the input of each from the third on, and to the end, a skip block adds
    what it makes of the input two blocks before."""
    waiting, around = [h], iter(skips)
    for number, block in enumerate(blocks):
        if number >= 2:
            h = h + next(around)(waiting.pop(0))
        h = block(h)
        waiting.append(h)
    return h + next(around)(waiting.pop(0))


def first_mask(kernel: int) -> Tensor:
    """[1 + 4, kernel, kernel]: of the image what comes before a pixel, of the maps all."""
    mask = torch.ones(1 + MAPS, kernel, kernel)
    mask[0, kernel // 2, kernel // 2 :] = 0
    mask[0, kernel // 2 + 1 :] = 0
    return mask


def cropped_mask(kernel: int) -> Tensor:
    """[kernel // 2 + 1, kernel]: the pixel and what comes before it, without the rows below."""
    mask = torch.ones(kernel // 2 + 1, kernel)
    mask[-1, kernel // 2 + 1 :] = 0
    return mask
