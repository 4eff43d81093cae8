"""Gaussian decoders p(x|z) = N(mean(z), variance): a network for the mean, and a variance model.

The forms of the variance are those of AR-ELBO, Table 2: Iso or Diag, one variance for all pixels or
one each; I or D, the same for all data or a function of z.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vaebench.estimators import gaussian
from vaebench.estimators.variance_models import check_form


class SharedVariance(nn.Module):
    """One log variance for all data: a scalar (Iso-I), or one a pixel [C, H, W] (Diag-I)."""

    def __init__(self, log_variance: Tensor, *, trainable: bool) -> None:
        super().__init__()
        self.log_variance: Tensor
        if trainable:
            self.log_variance = nn.Parameter(log_variance)
        else:
            self.register_buffer("log_variance", log_variance)

    def forward(self, head: Tensor) -> Tensor:
        return self.log_variance


class PredictedVariance(nn.Module):
    """Log variances from the network's own channels [..., C, H, W] (Diag-D), or their mean over
    the image (Iso-D)."""

    def __init__(self, *, isotropic: bool) -> None:
        super().__init__()
        self.isotropic = isotropic

    def forward(self, head: Tensor) -> Tensor:
        return head.mean((-3, -2, -1), keepdim=True) if self.isotropic else head


Variance = SharedVariance | PredictedVariance


def variance_of_form(form: str, shape: Sequence[int]) -> Variance:
    """The trainable variance model of a form; log variances start at 0 (Dai & Wipf, 2019)."""
    check_form(form)
    if form.endswith("-D"):
        return PredictedVariance(isotropic=form == "Iso-D")
    return SharedVariance(torch.zeros(() if form == "Iso-I" else tuple(shape)), trainable=True)


class GaussianDecoder(nn.Module):
    """N(mean, variance) from a network z [N, K] -> [N, channels or more, H, W].

    The first `channels` give the mean, through a sigmoid if `output` says so; what follows them
    goes to the variance model. Without one (None) there is a mean and no density.
    """

    def __init__(
        self, network: nn.Module, channels: int, output: str, variance: Variance | None
    ) -> None:
        super().__init__()
        if output not in ("identity", "sigmoid"):
            raise ValueError(f"output is {output!r}; expected identity or sigmoid")
        self.network = network
        self.channels = channels
        self.activation = nn.Sigmoid() if output == "sigmoid" else nn.Identity()
        self.variance = variance

    @property
    def constant_variance(self) -> Tensor | None:
        """The one variance of all pixels and data, a scalar; None where there is no such one."""
        variance = self.variance
        if isinstance(variance, SharedVariance) and variance.log_variance.dim() == 0:
            return variance.log_variance.detach().exp()
        return None

    def moments(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance: [..., K] -> [..., C, H, W], and a tensor that broadcasts to it.

        TypeError for a decoder without variance.
        """
        variance = self.variance
        if variance is None:
            raise TypeError("this decoder was trained without a variance: it has no density")
        mean, head = self._outputs(z)
        return mean, variance(head)

    def mean(self, z: Tensor) -> Tensor:
        """E[x|z]: [..., K] -> [..., C, H, W]."""
        return self._outputs(z)[0]

    def log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z) in nats, summed over pixels: x [B, C, H, W], z [S, B, K] -> [S, B]."""
        mean, log_variance = self.moments(z)
        log_variance = log_variance.expand_as(mean).flatten(-3)
        return gaussian.log_density(x.flatten(1), mean.flatten(-3), log_variance)

    def sample(self, z: Tensor) -> Tensor:
        """Draws from p(x|z), noise and all: [..., K] -> [..., C, H, W]."""
        mean, log_variance = self.moments(z)
        return mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)

    def _outputs(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The mean, and the channels for the variance; all leading axes go as one batch."""
        outputs = torch.unflatten(self.network(z.flatten(0, -2)), 0, z.shape[:-1])
        mean, head = outputs.tensor_split([self.channels], dim=-3)
        return self.activation(mean), head
