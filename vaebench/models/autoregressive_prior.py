"""The autoregressive prior of MAE's binary images: flows of weight-normalised MADEs (Germain et
al., 2015), parallel in the direction of the density (Chen et al., 2017).

Shapes: N draws, K latent size.
"""

import torch
from torch import Tensor, nn

from vaebench.estimators import gaussian
from vaebench.models.weight_norm import Linear

_STD = 0.1  # of every layer's outputs after the pass over data


class AutoregressivePrior(nn.Module):
    """The z whose eps is N(0, I), by flows that reverse the order of dimensions one after another.

    The paper: 8 flows, each with two MADEs of one hidden layer of 320 units, for 32 dimensions.
    """

    def __init__(self, latent: int, hidden: int, flows: int) -> None:
        super().__init__()
        self.latent = latent
        self.flows = nn.ModuleList(AutoregressiveFlow(latent, hidden) for _ in range(flows))

    def to_noise(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """eps [..., K] and log|det d eps / d z| [...] of z [..., K]."""
        log_det = z.new_zeros(z.shape[:-1])
        for flow in self.flows:
            z, log_slopes = flow(z.flip(-1))
            log_det = log_det + log_slopes.sum(-1)
        return z, log_det

    @torch.no_grad()
    def from_noise(self, noise: Tensor) -> Tensor:
        """z [N, K] of eps [N, K], coordinate by coordinate."""
        for flow in reversed(self.flows):
            assert isinstance(flow, AutoregressiveFlow)
            noise = flow.inverse(noise).flip(-1)
        return noise

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) in nats: [..., K] -> [...]."""
        noise, log_det = self.to_noise(z)
        return gaussian.standard_log_density(noise) + log_det

    def log_prob_by_dimension(self, z: Tensor) -> Tensor:
        """TypeError: the dimensions depend on one another."""
        raise TypeError("the density of an autoregressive prior is no product over dimensions")

    def sample(self, count: int, device: torch.device) -> Tensor:
        """Draws [count, K]."""
        noise = torch.randn(count, self.latent, device=device)
        return self.from_noise(noise.to(next(self.parameters()).dtype))


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
