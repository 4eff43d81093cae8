"""The autoregressive prior of MAE's binary images: flows of weight-normalised MADEs (Germain et
al., 2015), parallel in the direction of the density (Chen et al., 2017).

Shapes: N draws, K latent size.
"""

import torch
from torch import Tensor, nn

from vaebench.models.flow_prior import FlowPrior
from vaebench.models.weight_norm import Linear

_STD = 0.1  # of every layer's outputs after the pass over data


class AutoregressivePrior(FlowPrior):
    """p(z) of codes of so many dimensions, a step each.

    The paper: 8 flows, each with two MADEs of one hidden layer of 320 units, for 32 dimensions.
    """

    def __init__(self, latent: int, hidden: int, flows: int) -> None:
        super().__init__(
            (latent,), (-1,), (AutoregressiveFlow(latent, hidden) for _ in range(flows))
        )


class AutoregressiveFlow(nn.Module):
    """eps_k = m_k + z_k exp(l_k / 2) with m_k and l_k of z_1 ... z_(k-1), from a MADE each.

    A MADE has one hidden layer of ReLUs and beside it a masked linear map from z to its outputs.
    What both do with z itself stands in one layer: first the units of m, then those of l.
    """

    def __init__(self, latent: int, hidden: int) -> None:
        super().__init__()
        every, degrees = torch.arange(1, latent + 1), hidden_degrees(latent, hidden)
        self.hidden = _masked((degrees[:, None] >= every).repeat(2, 1))
        self.beside = _masked((every[:, None] > every).repeat(2, 1))
        self.shift = _masked(every[:, None] > degrees)
        self.scale = _masked(every[:, None] > degrees)

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """eps and the logarithms of its slopes, [..., K] each."""
        of_shift, of_scale = self.hidden(z).relu().chunk(2, -1)
        shift, scale = self.beside(z).chunk(2, -1)
        shift, scale = shift + self.shift(of_shift), scale + self.scale(of_scale)
        log_slopes = 0.5 * scale.to(z.dtype)  # from bfloat16 under autocast
        return shift.to(z.dtype) + z * log_slopes.exp(), log_slopes

    def inverse(self, noise: Tensor) -> Tensor:
        """z [N, K] of eps [N, K]: one coordinate a step, which is then shown to the layers."""
        to_hidden, to_outputs = self.hidden.weight.t(), self.beside.weight.t()
        to_shift, to_scale = self.shift.weight, self.scale.weight
        biases = torch.cat([self.shift.bias, self.scale.bias]) + self.beside.bias
        outputs, hidden = (bias.repeat(len(noise), 1) for bias in (biases, self.hidden.bias))
        shifts, scales = outputs.chunk(2, -1)  # views of what the steps add to
        z = torch.empty_like(noise)
        for k in range(noise.shape[-1]):
            of_shift, of_scale = hidden.relu().chunk(2, -1)
            shift = shifts[:, k] + of_shift @ to_shift[k]
            scale = scales[:, k] + of_scale @ to_scale[k]
            z[:, k] = (noise[:, k] - shift) * torch.exp(-0.5 * scale)
            hidden += z[:, k, None] * to_hidden[k]
            outputs += z[:, k, None] * to_outputs[k]
        return z


def hidden_degrees(latent: int, hidden: int) -> Tensor:
    """How many dimensions the hidden units see: 1 ... latent - 1 in order, as evenly as can be."""
    if latent < 2:
        raise ValueError(f"latent is {latent}; an autoregressive map needs 2 dimensions")
    units = torch.arange(1, hidden + 1)
    return (units * (latent - 1) + hidden - 1) // hidden  # rounded up


def _masked(mask: Tensor) -> Linear:
    """A layer with weights where `mask` [outputs, inputs] is true."""
    outputs, inputs = mask.shape
    return Linear(inputs, outputs, mask=mask.float(), std=_STD)
