"""Regularised autoencoders: L2 of the decoder, and gradient penalty (Ghosh et al., 2020).

The loss of the authors' code, mean_b ||x - mu(z)||^2 / d + beta mean_b ||z||^2 / K + R, times d, so
that Adam sees gradients of the size of the other objectives: d pixels, K latent dimensions. The
terms `code` and `penalty` are what the two last summands add to the loss.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vaebench.data.dataset import Batch
from vaebench.models.latent import LatentModel
from vaebench.objectives.clock import Clock
from vaebench.objectives.gaussian import gaussian_decoder


@dataclass(frozen=True)
class DecoderL2:
    """RAE-L2: R = weight times the sum of the squared kernels of the decoder's `layers`.

    Biases and batch norm do not count.
    """

    beta: float
    weight: float
    layers: tuple[type[nn.Module], ...]

    def __call__(self, model: LatentModel, batch: Batch, clock: Clock) -> dict[str, Tensor]:
        z = model.infer(batch.x).mean
        mean = model.decoder.mean(z)
        kernels = [
            layer.get_parameter("weight").square().sum()
            for layer in gaussian_decoder(model).modules()
            if isinstance(layer, self.layers)
        ]
        return _terms(batch.x, mean, z, self.beta, self.weight * torch.stack(kernels).sum())


@dataclass(frozen=True)
class GradientPenalty:
    """RAE-GP: R = weight times the size of the decoder's slope at the codes.

    `outputs`, the authors' code: the mean over batch and latents of (d/dz_j sum_i mu_i(z)^2)^2.
    `jacobian`: mean_b ||J||_F^2, the term of AR-ELBO, Eq. 4; estimated without bias by ||J^T v||^2
    with one v ~ N(0, I) an image.
    """

    beta: float
    weight: float
    gradient: str

    def __post_init__(self) -> None:
        if self.gradient not in ("outputs", "jacobian"):
            raise ValueError(f"gradient is {self.gradient!r}; expected outputs or jacobian")

    def __call__(self, model: LatentModel, batch: Batch, clock: Clock) -> dict[str, Tensor]:
        training = torch.is_grad_enabled()
        with torch.enable_grad():  # the slope is needed where nothing is trained, too
            z = model.infer(batch.x).mean.requires_grad_()
            mean = model.decoder.mean(z)
            if self.gradient == "outputs":
                height = mean.square().sum()
            else:
                height = (mean * torch.randn_like(mean)).sum()
            (slope,) = torch.autograd.grad(height, z, create_graph=training)
        squares = slope.square()
        size = squares.mean() if self.gradient == "outputs" else squares.sum(1).mean()
        return _terms(batch.x, mean, z, self.beta, self.weight * size)


def _terms(
    x: Tensor, mean: Tensor, z: Tensor, beta: float, regulariser: Tensor
) -> dict[str, Tensor]:
    pixels = x[0].numel()
    error = (x - mean).square().flatten(1).sum(1).mean()
    code = beta * pixels / z.shape[1] * z.square().sum(1).mean()
    penalty = pixels * regulariser
    return {
        "loss": error + code + penalty,
        "squared_error": error,
        "code": code,
        "penalty": penalty,
    }
