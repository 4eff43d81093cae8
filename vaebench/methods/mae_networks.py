"""The networks of MAE's experiments: what an argument `network` names.

`{kind: resnet-pixelcnn, width: 1, latent: 32}` is that of binary images, `resnet` the same with a
decoder of independent pixels, and `{kind: densenet-pixelcnn++, width: 1, latent: 16}` that of
CIFAR-10, whose code has so many maps. `width` multiplies the sizes of layers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from vaebench.data.dataset import DataInfo
from vaebench.methods.sizes import check_sizes, of_kind, scaled
from vaebench.models import weight_norm
from vaebench.models.autoregressive_prior import AutoregressivePrior
from vaebench.models.convolutional_prior import ConvolutionalPrior
from vaebench.models.densenet import DenseNetEncoder, DenseNetHead
from vaebench.models.latent import LatentModel
from vaebench.models.normalised_pixelcnn import NormalisedPixelCnnDecoder
from vaebench.models.normalised_resnet import (
    NormalisedGaussianHead,
    NormalisedResNetDecoder,
    NormalisedResNetEncoder,
)
from vaebench.models.pixelcnn_pp import PixelCnnPlusPlusDecoder
from vaebench.training.recipe import Start

_FLOWS = 8
_COMPONENTS, _BLOCKS = 10, 5  # of PixelCNN++


@dataclass(frozen=True)
class Binary:
    """A ResNet, eight flows of MADEs as the prior, and a decoder."""

    width: float
    latent: int
    start_examples = 500

    def __post_init__(self) -> None:
        check_sizes(self)

    def model(self, data: DataInfo) -> LatentModel:
        """The network for images of this shape."""
        if len(data.shape) != 3 or data.shape[0] != 1:
            raise ValueError(f"this network is for images of one channel; {data.name} has others")
        channels = [scaled(size, self.width) for size in (32, 64, 64)]
        features = scaled(512, self.width)
        return LatentModel(
            encoder=NormalisedResNetEncoder(data.shape, channels, features),
            head=NormalisedGaussianHead(features, self.latent),
            prior=AutoregressivePrior(
                self.latent, hidden=scaled(10 * self.latent, self.width), flows=_FLOWS
            ),
            decoder=self.decoder(data),
        )

    def decoder(self, data: DataInfo) -> NormalisedPixelCnnDecoder | NormalisedResNetDecoder:
        """An even number of channels, for the bottlenecks have half as many."""
        return NormalisedPixelCnnDecoder(
            self.latent, data.shape, channels=2 * scaled(32, self.width)
        )


@dataclass(frozen=True)
class BinaryResNet(Binary):
    """The same with a decoder of independent pixels."""

    def decoder(self, data: DataInfo) -> NormalisedResNetDecoder:
        """A ResNet from a code to an image."""
        channels = [scaled(size, self.width) for size in (64, 64, 32)]
        return NormalisedResNetDecoder(self.latent, data.shape, channels)


@dataclass(frozen=True)
class Colour:
    """A DenseNet, eight flows of masked convolutions as the prior, and a PixelCNN++."""

    width: float
    latent: int
    start_examples = 256

    def __post_init__(self) -> None:
        check_sizes(self)

    def model(self, data: DataInfo) -> LatentModel:
        """The network for images of this shape."""
        if len(data.shape) != 3 or data.shape[0] != 3:
            raise ValueError(f"this network is for images of three colours; {data.name} has others")
        maps = (self.latent, data.shape[1] // 4, data.shape[2] // 4)
        growth = [scaled(size, self.width) for size in (15, 16, 16)]
        features = scaled(96, self.width)
        return LatentModel(
            encoder=DenseNetEncoder(data.shape, growth, features),
            head=DenseNetHead(features, self.latent),
            prior=ConvolutionalPrior(maps, channels=scaled(128, self.width), flows=_FLOWS),
            decoder=PixelCnnPlusPlusDecoder(
                maps, data.shape, scaled(96, self.width), _BLOCKS, _COMPONENTS
            ),
        )


Network = Binary | Colour
_KINDS: dict[str, Callable[..., Network]] = {
    "resnet-pixelcnn": Binary,
    "resnet": BinaryResNet,
    "densenet-pixelcnn++": Colour,
}


def network_of(settings: Mapping[str, Any]) -> Network:
    """The network of an argument `network`; ValueError or TypeError if there is none."""
    return of_kind(_KINDS, settings)


def start(network: Network) -> Start:
    """The pass over data by which the layers begin: the posterior's mean, without noise, goes
    through prior and decoder."""
    return Start(network.start_examples, _see)


def _see(model: LatentModel, x: Tensor) -> None:
    # PixelCNN++ has dropout in training mode; PixelCNN scores by other means in evaluation mode.
    model.train(not isinstance(model.decoder, PixelCnnPlusPlusDecoder))

    def run() -> None:
        z = model.infer(x).mean
        model.prior.log_prob(z)
        model.decoder.log_prob(x, z[None])

    weight_norm.initialise(model, run)
    model.train()
