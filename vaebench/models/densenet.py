"""The encoder of MAE's CIFAR-10 models, a DenseNet, and its posterior head.

Shapes: B batch, K latent size.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vaebench.models.activations import elu
from vaebench.models.posteriors import GaussianPosterior
from vaebench.models.weight_norm import Convolution

_STEPS = (3, 3, 6)
_LEAST, _MOST = -7.0, 7.0  # of log variances


class DenseNetEncoder(nn.Module):
    """x [B, C, H, W] -> h [B, features, H / 4, W / 4] (MAE, Appendix B.2): 3, 3 and 6 dense steps,
    and between them a convolution that halves the image.

    `growth` is what a step adds, in each of the three. The paper: 15, 16 and 16; 96 features.
    """

    def __init__(self, shape: Sequence[int], growth: Sequence[int], features: int) -> None:
        super().__init__()
        channels = shape[0]
        layers: list[nn.Module] = []
        for stage, (steps, added) in enumerate(zip(_STEPS, growth, strict=True)):
            if stage > 0:
                layers.append(Activated(Convolution(channels, channels, 3, stride=2, padding=1)))
            for _ in range(steps):
                layers.append(DenseStep(channels, added))
                channels += added
        layers.append(Activated(Convolution(channels, features, 1)))
        self.layers = nn.Sequential(*layers)
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.layers(x)
        return h


class DenseStep(nn.Module):
    """[B, C, H, W] -> [B, C + growth, H, W]: what two convolutions make of the input, beside the
    input; an ELU over all."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.narrow = Convolution(channels, 4 * growth, 1)
        self.convolution = Convolution(4 * growth, growth, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.convolution(elu(self.narrow(x)))
        return elu(torch.cat([x, h], 1))


class Activated(nn.Module):
    """A layer and an ELU."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return elu(self.layer(x))


class DenseNetHead(nn.Module):
    """h [B, features, H, W] -> a Gaussian of K = channels H W dimensions, by one 1x1 convolution;
    log variances are held in [-7, 7]. The paper: 16 channels."""

    def __init__(self, features: int, channels: int) -> None:
        super().__init__()
        self.convolution = Convolution(features, 2 * channels, 1)

    def forward(self, h: Tensor) -> GaussianPosterior:
        # In the precision of the weights again, under autocast: a KL of bfloat16 has two digits.
        parameters = self.convolution(h).to(self.convolution.bias.dtype)
        mean, log_variance = (part.flatten(1) for part in parameters.chunk(2, dim=1))
        return GaussianPosterior(mean, log_variance.clamp(_LEAST, _MOST))
