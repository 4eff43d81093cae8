"""Inverse autoregressive flows (Kingma et al., 2016) as posteriors: the IAF rows of DU-VAE.

Shapes: B batch, S samples, K latent size, C context, H features.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vaebench.models.made import MADE
from vaebench.models.posteriors import GaussianDraws, GaussianPosterior

_BLOCKS = 2  # an even number, so that the reversals leave every dimension where it was
_GATE_BIAS = 2.0  # so that a flow starts near the identity


class InverseAutoregressiveFlow(nn.Module):
    """Two blocks, the order of dimensions reversed after each: z_0 [..., K] -> z_T [..., K].

    Beside z_T the logarithm of the Jacobian's diagonal, [..., K]: every dimension's gates in both
    blocks. Their sum is the log-determinant (DU-VAE, Eq. S24).
    """

    def __init__(self, latent: int, *, context: int, hidden: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(_Block(latent, context, hidden) for _ in range(_BLOCKS))

    def forward(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        log_slopes = torch.zeros_like(z)
        for block in self.blocks:
            z, log_gates = block(z, context)
            z, log_slopes = z.flip(-1), (log_slopes + log_gates).flip(-1)
        return z, log_slopes


class _Block(nn.Module):
    """z -> g z + (1 - g) m with m and the gates g in (0, 1) from the dimensions before."""

    def __init__(self, latent: int, context: int, hidden: int) -> None:
        super().__init__()
        self.made = MADE(latent, context=context, hidden=hidden, outputs=2)
        self.gate_bias = nn.Parameter(torch.full((latent,), _GATE_BIAS))

    def forward(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        m, s = self.made(z, context).to(z.dtype).chunk(2, dim=-1)
        s = s + self.gate_bias
        gate = s.sigmoid()
        return gate * z + (1 - gate) * m, F.logsigmoid(s)


class FlowPosterior:
    """z_T of z_0 ~ `base`, a Gaussian [B, K], by a flow that sees a context [B, C]."""

    def __init__(
        self, base: GaussianPosterior, context: Tensor, flow: InverseAutoregressiveFlow
    ) -> None:
        self.base = base
        self.context = context
        self.flow = flow

    @property
    def mean(self) -> Tensor:
        """z_T of the mean of z_0, [B, K]."""
        mean: Tensor = self.flow(self.base.mean, self.context)[0]
        return mean

    @property
    def features(self) -> Tensor:
        """The mean of z_0 and its z_T side by side, [B, 2K]."""
        return torch.cat([self.base.mean, self.mean], dim=-1)

    def draw(self, samples: int) -> "FlowDraws":
        """z_T of draws from the base."""
        base = self.base.draw(samples)
        return FlowDraws(base, *self.flow(base.z, self.context))

    def rsample(self, samples: int) -> Tensor:
        """The z of `draw`, [S, B, K]."""
        return self.draw(samples).z


class FlowDraws:
    """z_T [S, B, K] with the draws it comes from and the logarithms of its slopes [S, B, K]."""

    def __init__(self, base: GaussianDraws, z: Tensor, log_slopes: Tensor) -> None:
        self.base = base
        self.z = z
        self.log_slopes = log_slopes

    def log_prob(self) -> Tensor:
        """log q(z_T|x) = log q(z_0|x) - log|det J| in nats, [S, B]."""
        return self.base.log_prob() - self.log_slopes.sum(-1)

    def log_prob_by_dimension(self) -> Tensor:
        """Its summands, [S, B, K]; each has the gates of its own dimension in both blocks."""
        return self.base.log_prob_by_dimension() - self.log_slopes


class FlowHead(nn.Module):
    """One linear map to means and deviations (before a softplus) of z_0, [B, K] each, and to the
    flow's context [B, 2K]; and a module on the means and one on the log variances.

    nn.Identity() leaves them as they are; with others this is IAF+BN and DU-IAF.
    """

    def __init__(
        self,
        features: int,
        latent: int,
        *,
        hidden: int,
        bias: bool,
        mean: nn.Module,
        variance: nn.Module,
    ) -> None:
        super().__init__()
        self.latent = latent
        self.linear = nn.Linear(features, 4 * latent, bias=bias)
        self.mean = mean
        self.variance = variance
        self.flow = InverseAutoregressiveFlow(latent, context=2 * latent, hidden=hidden)

    def forward(self, h: Tensor) -> FlowPosterior:
        sizes = [self.latent, self.latent, 2 * self.latent]
        parameters = self.linear(h).to(self.linear.weight.dtype)  # under autocast, as in heads.py
        mean, s, context = parameters.split(sizes, dim=-1)
        log_variance = 2 * F.softplus(s).log()
        base = GaussianPosterior(self.mean(mean), self.variance(log_variance))
        return FlowPosterior(base, context, self.flow)
