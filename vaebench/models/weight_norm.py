"""Weight-normalised layers (Salimans & Kingma, 2016) as MAE's code has them, and the pass over data
by which they begin.

Every output unit has a direction v, drawn from N(0, 0.05^2), and a gain. Plain layers have w =
g v / |v|; masked ones w = exp(g) v / (|v| + 1e-8), whose masked weights are zero and have no
gradient. All have biases.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_SPREAD = 0.05
_EPS, _EPS_OF_NORMS = 1e-6, 1e-8


class WeightNormalised(nn.Module):
    """Directions of a shape, whose dimension `units` counts the output units.

    `std` is the standard deviation of the outputs after the pass over data.
    """

    units_of_outputs = 1  # the dimension of outputs that counts the units

    def __init__(
        self, *shape: int, units: int = 0, mask: Tensor | None = None, std: float = 1.0
    ) -> None:
        super().__init__()
        self.units, self.std, self.masked = units, std, mask is not None
        self.mask: Tensor | None
        self.register_buffer("mask", mask, persistent=False)
        direction = _SPREAD * torch.randn(shape)
        self.direction = nn.Parameter(direction if mask is None else direction * mask)
        norms = self._norms(self.direction.detach()).flatten()
        self.gain = nn.Parameter((norms + _EPS_OF_NORMS).log() if self.masked else norms)
        self.bias = nn.Parameter(torch.zeros(shape[units]))

    @property
    def weight(self) -> Tensor:
        """The weights, of the shape of the directions."""
        gain = self.gain.view([-1 if d == self.units else 1 for d in range(self.direction.dim())])
        if self.mask is None:
            return self.direction * (gain / self._norms(self.direction))
        direction = self.direction * self.mask
        return direction * (gain.exp() / (self._norms(direction) + _EPS_OF_NORMS))

    @torch.no_grad()
    def normalise(self, outputs: Tensor) -> Tensor:
        """Change gain and bias so that these outputs would have had mean 0 and deviation `std` in
        every unit, and give the outputs that they would have been. A constant one is only moved."""
        units = self.units_of_outputs % outputs.dim()
        over = [d for d in range(outputs.dim()) if d != units]
        std, mean = torch.std_mean(outputs, over, keepdim=True)
        scale = self.std / (torch.where(std > 0, std, 1.0) + _EPS)
        flat = scale.flatten()
        self.gain.add_(flat.log()) if self.masked else self.gain.mul_(flat)
        self.bias.sub_(mean.flatten()).mul_(flat)
        return (outputs - mean) * scale

    def _norms(self, direction: Tensor) -> Tensor:
        others = [d for d in range(direction.dim()) if d != self.units]
        norms: Tensor = torch.linalg.vector_norm(direction, dim=others, keepdim=True)
        return norms


class Linear(WeightNormalised):
    """[..., inputs] -> [..., outputs]; with a mask [outputs, inputs] a masked layer."""

    units_of_outputs = -1

    def __init__(
        self, inputs: int, outputs: int, *, mask: Tensor | None = None, std: float = 1.0
    ) -> None:
        super().__init__(outputs, inputs, mask=mask, std=std)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)


class Convolution(WeightNormalised):
    """[N, inputs, H, W] -> [N, outputs, H', W']; `size` is that of the kernel, `padding` of zeros.

    With a mask [inputs or 1, *size], or one that has the outputs before it, a masked layer.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: int | tuple[int, int],
        *,
        stride: int = 1,
        padding: int | tuple[int, int] = 0,
        mask: Tensor | None = None,
        std: float = 1.0,
    ) -> None:
        size = (size, size) if isinstance(size, int) else size
        super().__init__(outputs, inputs, *size, mask=mask, std=std)
        self.stride, self.padding = stride, padding

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight, self.bias, self.stride, self.padding)


class TransposedConvolution(WeightNormalised):
    """[N, inputs, H, W] -> [N, outputs, H', W']; the norm of an output unit is over its inputs and
    the kernel."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        size: int | tuple[int, int],
        *,
        stride: int,
        padding: int | tuple[int, int] = 0,
        output_padding: int | tuple[int, int] = 0,
        std: float = 1.0,
    ) -> None:
        size = (size, size) if isinstance(size, int) else size
        super().__init__(inputs, outputs, *size, units=1, std=std)
        self.stride, self.padding, self.output_padding = stride, padding, output_padding

    def forward(self, x: Tensor) -> Tensor:
        return F.conv_transpose2d(
            x, self.weight, self.bias, self.stride, self.padding, self.output_padding
        )


@torch.no_grad()
def initialise(module: nn.Module, run: Callable[[], object]) -> None:
    """Let `run` use the module once: each weight-normalised layer, in the order in which they are
    called, is changed so that its outputs have mean 0 and the deviation `std`, and the layers
    after it see these outputs."""

    def hook(layer: nn.Module, _: object, outputs: Tensor) -> Tensor:
        assert isinstance(layer, WeightNormalised)
        return layer.normalise(outputs)

    layers = [layer for layer in module.modules() if isinstance(layer, WeightNormalised)]
    handles = [layer.register_forward_hook(hook) for layer in layers]
    try:
        run()
    finally:
        for handle in handles:
            handle.remove()
