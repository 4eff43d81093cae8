"""Heads, from encoder features to a posterior, and what they do to means and variances.

Shapes: B batch, K latent size, H features. A head maps h [B, H] to a posterior.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vaebench.models.posteriors import DeltaPosterior, GaussianPosterior

ZERO_ENTROPY_VARIANCE = 1 / (2 * math.pi * math.e)  # of a Gaussian whose entropy is zero

_MOMENTUM = 0.1
_LEAST_GATE = 0.02
_ABOVE_ZERO = 1e-6


class GaussianHead(nn.Module):
    """Two linear maps to mean and log variance.

    `isotropic` gives one variance a datum, shared by all dimensions (IGP, Section 3).
    """

    def __init__(self, features: int, latent: int, *, isotropic: bool) -> None:
        super().__init__()
        self.mean = nn.Linear(features, latent)
        self.log_variance = nn.Linear(features, 1 if isotropic else latent)

    def forward(self, h: Tensor) -> GaussianPosterior:
        return GaussianPosterior(self.mean(h), self.log_variance(h))


def untied(head: GaussianHead) -> GaussianHead:
    """A diagonal head that begins as an isotropic one: its layer of log variances, repeated for
    every dimension (IGP, Section 5.2)."""
    latent, features = head.mean.weight.shape
    free = GaussianHead(features, latent, isotropic=False).to(head.mean.weight)
    with torch.no_grad():
        for name, values in free.named_parameters():
            values.copy_(head.get_parameter(name))  # a row fills all rows
    return free


class GlobalGaussianHead(nn.Module):
    """A linear map to the mean and one variance for all dimensions and data (AR-ELBO, Eq. 4).

    `log_variance` (natural logarithm) is where it starts if it is trainable, else what it is.
    """

    def __init__(self, features: int, latent: int, *, log_variance: float, trainable: bool) -> None:
        super().__init__()
        self.mean = nn.Linear(features, latent)
        self.log_variance: Tensor
        if trainable:
            self.log_variance = nn.Parameter(torch.tensor([log_variance]))
        else:
            self.register_buffer("log_variance", torch.tensor([log_variance]))

    def forward(self, h: Tensor) -> GaussianPosterior:
        return GaussianPosterior(self.mean(h), self.log_variance.expand(len(h), 1))


class DeterministicHead(nn.Module):
    """One linear map to the code of an autoencoder."""

    def __init__(self, features: int, latent: int) -> None:
        super().__init__()
        self.mean = nn.Linear(features, latent)

    def forward(self, h: Tensor) -> DeltaPosterior:
        return DeltaPosterior(self.mean(h))


class LinearGaussianHead(nn.Module):
    """One linear map to means and log variances, and a module on each, [B, K] to [B, K].

    nn.Identity() leaves them as they are.
    """

    def __init__(
        self, features: int, latent: int, *, bias: bool, mean: nn.Module, variance: nn.Module
    ) -> None:
        super().__init__()
        self.linear = nn.Linear(features, 2 * latent, bias=bias)
        self.mean = mean
        self.variance = variance

    def forward(self, h: Tensor) -> GaussianPosterior:
        # In the precision of the weights again, under autocast: a KL of bfloat16 has two digits.
        parameters = self.linear(h).to(self.linear.weight.dtype)
        mean, log_variance = parameters.chunk(2, dim=-1)
        return GaussianPosterior(self.mean(mean), self.variance(log_variance))


class NormalisedMean(nn.Module):
    """Batch normalisation of posterior means (BN-VAE, and DU-VAE, Eq. 9).

    In training, every dimension has batch mean b and batch variance gamma^2 (but for `eps`). What
    becomes of the scales, which start at `gamma`: `fixed` keeps them, `free` trains them, and
    `rescaled` trains them with their mean square held at gamma^2. `shift` is b where it is frozen;
    None trains it from zero. A training batch of one is left as it is.
    """

    def __init__(
        self, latent: int, *, gamma: float, scale: str, shift: float | None, eps: float
    ) -> None:
        super().__init__()
        if scale not in ("fixed", "rescaled", "free"):
            raise ValueError(f"scale is {scale!r}; expected fixed, rescaled or free")
        if not gamma > 0:
            raise ValueError(f"gamma is {gamma!r}; expected a deviation above 0")
        self.gamma, self.eps = gamma, eps
        self.rescaled = scale == "rescaled"
        scales, shifts = torch.full((latent,), gamma), torch.full((latent,), shift or 0.0)
        self.scale = nn.Buffer(scales) if scale == "fixed" else nn.Parameter(scales)
        self.shift = nn.Parameter(shifts) if shift is None else nn.Buffer(shifts)
        self.running_mean = nn.Buffer(torch.zeros(latent))
        self.running_variance = nn.Buffer(torch.ones(latent))

    def forward(self, mean: Tensor) -> Tensor:
        if self.training and len(mean) == 1:
            return mean
        return F.batch_norm(
            mean,
            self.running_mean,
            self.running_variance,
            self._rescaled() if self.rescaled else self.scale,
            self.shift,
            self.training,
            _MOMENTUM,
            self.eps,
        )

    def rescale(self) -> None:
        """Move the scales to where their mean square is gamma^2: for after every update.

        Not in `forward`, as in the authors' code: compiled, its backward pass would take some of
        the old scales for the new ones.
        """
        if self.rescaled:
            with torch.no_grad():
                self.scale.copy_(self._rescaled())

    def _rescaled(self) -> Tensor:
        """The scales with mean square gamma^2, with a gradient as if they had been so all along."""
        scale = self.scale.detach()
        rescaled = scale * (self.gamma / scale.square().mean().sqrt())
        return rescaled + (self.scale - scale)


class VarianceDropout(nn.Module):
    """Floor under log variances and dropout of the variances above it (DU-VAE, Eq. 6).

    From r = exp(log_variance), in training, independently for every datum and dimension:
    r / keep + floor with probability `keep`, else the floor. In evaluation: r + floor. Until it is
    activated: r.
    """

    def __init__(self, keep: float, floor: float) -> None:
        super().__init__()
        if not 0 < keep <= 1:
            raise ValueError(f"keep is {keep!r}; expected a probability above 0")
        if not floor > 0:
            raise ValueError(f"floor is {floor!r}; expected a variance above 0")
        self.keep, self.floor = keep, floor
        self.active = nn.Buffer(torch.tensor(False))

    def activate(self, on: Tensor) -> None:
        """Switch both on or off, by a scalar."""
        self.active.copy_(on)

    def forward(self, log_variance: Tensor) -> Tensor:
        variance = log_variance.exp()
        if self.training and self.keep < 1:
            kept = torch.rand_like(variance) < self.keep
            variance = torch.where(kept, variance / self.keep, 0)
        return torch.where(self.active, (variance + self.floor).log(), log_variance)


class DeltaHead(nn.Module):
    """delta-VAE with independent dimensions: the KL of each is at least `delta` (Razavi et al.,
    2019, in the form of BN-VAE's code).

    A linear map to m and s; the deviation lies between the roots of KL(N(0, v) || N(0, 1)) = delta,
    and the mean makes up for what is missing: the KL is delta + relu(m) / 2 + 5e-7.
    """

    def __init__(self, features: int, latent: int, *, bias: bool, delta: float) -> None:
        super().__init__()
        self.linear = nn.Linear(features, 2 * latent, bias=bias)
        self.delta = delta
        self.lower, self.upper = (math.sqrt(variance) for variance in kl_roots(delta))

    def forward(self, h: Tensor) -> GaussianPosterior:
        m, s = self.linear(h).to(self.linear.weight.dtype).chunk(2, dim=-1)
        gate = s.sigmoid().clamp_min(_LEAST_GATE)
        std = self.lower + (self.upper - self.lower) * gate
        log_variance = 2 * std.log()
        missing = 2 * self.delta + 1 + log_variance - std.square()
        return GaussianPosterior((missing + m.relu() + _ABOVE_ZERO).sqrt(), log_variance)


def kl_roots(delta: float) -> tuple[float, float]:
    """The variances v < 1 < w of a centred Gaussian whose KL to N(0, 1) is delta, in nats."""
    if not delta > 0:
        raise ValueError(f"delta is {delta!r}; expected nats above 0")
    twice = 2 * delta + 1
    return _root(twice, math.exp(-twice)), _root(twice, 2 * twice)


def _root(twice: float, outside: float) -> float:
    """Where ln v - v + twice = 0, between `outside`, where that is negative, and 1."""
    inside = 1.0
    while (middle := (inside + outside) / 2) not in (inside, outside):  # not yet neighbours
        if math.log(middle) - middle + twice > 0:
            inside = middle
        else:
            outside = middle
    return inside
