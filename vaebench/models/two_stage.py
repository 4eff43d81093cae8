"""The second-stage VAE of Dai & Wipf (2019): a VAE on the codes of a trained one, as its prior."""

from typing import Any

import torch
from torch import Tensor, nn

from vaebench.estimators import gaussian
from vaebench.models.latent import LatentModel
from vaebench.models.posteriors import GaussianPosterior
from vaebench.models.priors import StandardGaussian

_DEPTH = 3


class TwoStageModel(LatentModel):
    """A trained model whose prior is a second-stage VAE.

    Encoder, head and decoder are those of the first stage: they move to a device with this model,
    and are neither trained nor stored nor counted with it.
    """

    prior: "SecondStage"

    def __init__(self, first: LatentModel, hidden: int) -> None:
        nn.Module.__init__(self)
        for name in ("encoder", "head", "decoder"):
            object.__setattr__(self, name, getattr(first, name))  # past nn.Module's registration
        self._first = (first,)
        latent = first.prior.sample(1, next(first.parameters()).device).shape[-1]
        self.prior = SecondStage(latent, hidden)

    def _apply(self, fn: Any, recurse: bool = True) -> Any:
        self._first[0]._apply(fn, recurse)  # type: ignore[no-untyped-call]
        return super()._apply(fn, recurse)  # type: ignore[no-untyped-call]


class SecondStage(nn.Module):
    """p(z) of the first stage by a VAE with codes u of the same size: u ~ N(0, I), then z | u."""

    def __init__(self, latent: int, hidden: int) -> None:
        super().__init__()
        self.vae = LatentModel(
            encoder=_WithInput(latent, hidden),
            head=_LogStdHead(latent + hidden, latent),
            prior=StandardGaussian(latent),
            decoder=_CodeDecoder(latent, hidden),
        )

    def sample(self, count: int, device: torch.device) -> Tensor:
        """Draws [count, K], noise of z | u and all."""
        draws: Tensor = self.vae.decoder.sample(self.vae.prior.sample(count, device))
        return draws

    def log_prob(self, z: Tensor) -> Tensor:
        """TypeError: an integral over u."""
        raise TypeError("a second-stage VAE has no density in closed form")

    log_prob_by_dimension = log_prob


class _WithInput(nn.Module):
    """[..., K] -> [..., K + hidden]: the input beside what three ReLU layers make of it."""

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for size in (inputs, *(_DEPTH - 1) * [hidden]):
            layers += [nn.Linear(size, hidden), nn.ReLU()]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, self.layers(x)], dim=-1)


class _LogStdHead(nn.Module):
    """Two linear maps to mean and log standard deviation."""

    def __init__(self, features: int, latent: int) -> None:
        super().__init__()
        self.mean = nn.Linear(features, latent)
        self.log_std = nn.Linear(features, latent)

    def forward(self, h: Tensor) -> GaussianPosterior:
        return GaussianPosterior(self.mean(h), 2 * self.log_std(h))


class _CodeDecoder(nn.Module):
    """p(z|u) = N(mean(u), gamma^2 I) with one trained gamma, a standard deviation; as a decoder, it
    calls u `z`."""

    def __init__(self, latent: int, hidden: int) -> None:
        super().__init__()
        self.features = _WithInput(latent, hidden)
        self.output = nn.Linear(latent + hidden, latent)
        self.log_gamma = nn.Parameter(torch.zeros(()))

    @property
    def constant_variance(self) -> Tensor:
        """gamma^2, a scalar."""
        return (2 * self.log_gamma.detach()).exp()

    def mean(self, z: Tensor) -> Tensor:
        """[..., K] -> [..., K]."""
        mean: Tensor = self.output(self.features(z))
        return mean

    def sample(self, z: Tensor) -> Tensor:
        """[..., K] -> [..., K]."""
        mean = self.mean(z)
        return mean + self.log_gamma.exp() * torch.randn_like(mean)

    def log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(z|u) in nats, with z as `x` [B, K] and u as `z` [S, B, K] -> [S, B]."""
        log_variance = (2 * self.log_gamma).expand(x.shape[-1])
        return gaussian.log_density(x, self.mean(z), log_variance)
