"""The streams of a PixelCNN++ for an image that comes piece by piece, so that every activation is
computed once (as Ramachandran et al., 2017, do).

A vertical stream gets whole rows, a horizontal one pixels, in raster order. A convolution keeps the
rows that its kernel sees; the coarser levels have something new at every second row and column.
"""

import copy
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vaebench.models.gated_streams import CausalConvolution, Coarser, Maps
from vaebench.models.weight_norm import Convolution, TransposedConvolution

Module = TypeVar("Module", bound=nn.Module)


@torch.no_grad()
def streaming(module: Module, width: int) -> Module:
    """A copy in evaluation mode for one image of that width, or many at once, with the weights as
    they are now."""
    weights = {id(weight): weight for weight in module.parameters()}  # which need no copy
    made = copy.deepcopy(module, weights).eval()
    _replace_layers(made, width)
    return made


def row_of(maps: Maps, row: int) -> Maps:
    """What belongs to a row: of the coarser maps, whose rows are fewer, the row where it lies."""
    return [
        [one[:, :, row >> level : (row >> level) + 1] for one in some]
        for level, some in enumerate(maps)
    ]


def column_of(maps: Maps, column: int) -> Maps:
    """What belongs to a column, in the same way."""
    return [
        [one[..., column >> level : (column >> level) + 1] for one in some]
        for level, some in enumerate(maps)
    ]


def _replace_layers(module: nn.Module, width: int) -> None:
    for name, child in module.named_children():
        if isinstance(child, CausalConvolution):
            setattr(module, name, _Streamed(child, width))
        elif isinstance(child, Convolution | TransposedConvolution):
            setattr(module, name, _Fixed(child))
        else:
            _replace_layers(child, width // 2 if isinstance(module, Coarser) else width)
        if isinstance(child, Coarser):
            setattr(module, name, _StreamedCoarser(child, width))


class _Fixed(nn.Module):
    """A convolution whose weight is worked out once."""

    def __init__(self, layer: Convolution | TransposedConvolution) -> None:
        super().__init__()
        self.weight, self.bias = layer.weight, layer.bias
        self.stride, self.padding = layer.stride, layer.padding
        self.output_padding = (
            layer.output_padding if isinstance(layer, TransposedConvolution) else None
        )

    def forward(self, x: Tensor) -> Tensor:
        if self.output_padding is None:
            return F.conv2d(x, self.weight, self.bias, self.stride, self.padding)
        return F.conv_transpose2d(
            x, self.weight, self.bias, self.stride, self.padding, self.output_padding
        )


class _Streamed(nn.Module):
    """A causal convolution: a piece of a row of its input [N, inputs, 1, w] -> that of its output.

    `width` is that of a row.
    """

    def __init__(self, layer: CausalConvolution, width: int) -> None:
        super().__init__()
        self.convolution = _Fixed(layer.convolution)
        self.rows, self.left, self.right = layer.above + 1, layer.left, layer.right
        self.width, self.column = width, 0
        self.known: Tensor | None = None

    def push(self, piece: Tensor) -> Tensor:
        """What the kernel sees of the input up to this piece."""
        if self.known is None:
            padded = self.left + self.width + self.right
            self.known = piece.new_zeros(*piece.shape[:2], self.rows, padded)
        if self.column == 0:  # in a new row, so what is known lies above
            self.known[:, :, :-1] = self.known[:, :, 1:].clone()
        start, end = self.column, self.column + piece.shape[3]
        self.known[:, :, -1:, self.left + start : self.left + end] = piece
        self.column = end % self.width
        return self.known[..., start : self.left + end + self.right]

    def forward(self, piece: Tensor) -> Tensor:
        outputs: Tensor = self.convolution(self.push(piece))
        return outputs


class _StreamedCoarser(nn.Module):
    """The coarser levels: a piece of a row -> that of what they make of it."""

    def __init__(self, coarser: Coarser, width: int) -> None:
        super().__init__()
        self.coarser, self.width = coarser, width
        self.row, self.column = 0, 0
        self.known: Tensor | None = None  # of an even row and that below

    def forward(self, piece: Tensor, conditions: Maps, other: Maps | None) -> tuple[Tensor, Maps]:
        row, start, end = self.row, self.column, self.column + piece.shape[3]
        self.row, self.column = (row, end) if end < self.width else (row + 1, 0)
        if self.known is None:
            self.known = piece.new_zeros(*piece.shape[:2], 2, self.width)
        of_coarser: Maps = []
        if row % 2 == 0 and start % 2 == 0:
            wide, of_coarser = self.coarser(piece, conditions, other)
            self.known[..., start : start + wide.shape[3]] = wide
        else:
            assert isinstance(self.coarser.narrow, _Streamed)
            self.coarser.narrow.push(piece)
        return self.known[:, :, row % 2 : row % 2 + 1, start:end], of_coarser
