"""The networks of DU-VAE's experiments: what an argument `network` names.

`{kind: resnet-pixelcnn, width: 1, latent: 32}` is that of OMNIGLOT, `{kind: lstm, width: 1, latent:
32, embedding: 512, hidden: 1024}` that of Yahoo and Yelp. `width` multiplies the sizes of layers
and `latent` is that of the code.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from vaebench.data.dataset import DataInfo
from vaebench.methods.sizes import check_sizes, of_kind, scaled
from vaebench.models.flows import FlowHead
from vaebench.models.heads import DeltaHead, LinearGaussianHead, NormalisedMean
from vaebench.models.latent import LatentModel
from vaebench.models.lstm import LstmDecoder, LstmEncoder, uniform
from vaebench.models.pixelcnn import PixelCnnDecoder
from vaebench.models.priors import StandardGaussian
from vaebench.models.resnet import ResNetEncoder

Head = LinearGaussianHead | DeltaHead | FlowHead

_NARROW, _WIDE, _REFINED = 0.01, 0.1, 0.1  # bounds of uniform initialisations of text networks
_DROPOUT = 0.5


@dataclass(frozen=True)
class ResNetPixelCnn:
    """A ResNet and a PixelCNN, for images.

    As of every network: `bias` says whether heads have one, `batch` how many examples a batch of
    the paper's training has, `noisy_decoder` whether the decoder draws noise in training.
    """

    width: float
    latent: int
    bias = True
    batch = 50
    noisy_decoder = False

    def __post_init__(self) -> None:
        check_sizes(self)

    @property
    def channels(self) -> int:
        """An even number, for the bottlenecks have half as many."""
        return 2 * scaled(32, self.width)

    @property
    def features(self) -> int:
        """What the encoder gives to the head."""
        return scaled(512, self.width)

    @property
    def flow_units(self) -> int:
        """In a hidden layer of a flow's network."""
        return scaled(60 * self.latent, self.width)

    def model(self, data: DataInfo, head: Head, *, refined: bool = False) -> LatentModel:
        """Encoder, head, N(0, I) and decoder. The head's linear map begins Xavier uniform."""
        if len(data.shape) != 3:
            raise ValueError(f"network.kind resnet-pixelcnn is for images; {data.name} is text")
        nn.init.xavier_uniform_(head.linear.weight)
        nn.init.zeros_(head.linear.bias)
        return LatentModel(
            encoder=ResNetEncoder(data.shape, self.channels, self.features),
            head=head,
            prior=StandardGaussian(self.latent),
            decoder=PixelCnnDecoder(self.latent, data.shape, self.channels),
        )


@dataclass(frozen=True)
class Lstm:
    """Two LSTMs, for text; embeddings and states of these sizes."""

    width: float
    latent: int
    embedding: int
    hidden: int
    bias = False
    batch = 32
    noisy_decoder = True

    def __post_init__(self) -> None:
        check_sizes(self)

    @property
    def features(self) -> int:
        return scaled(self.hidden, self.width)

    @property
    def flow_units(self) -> int:
        return scaled(60 * self.latent, self.width)

    def model(self, data: DataInfo, head: Head, *, refined: bool = False) -> LatentModel:
        """The same; `refined` is for SA-VAE, which begins further out.

        How the encoder and the head's linear map begin depends on the head, as in the authors'
        code: as torch makes them before normalised means, uniform otherwise.
        """
        if not data.vocabulary:
            raise ValueError(f"network.kind lstm is for text; {data.name} is images")
        embedding = scaled(self.embedding, self.width)
        encoder = LstmEncoder(data.vocabulary, embedding, self.features)
        decoder = LstmDecoder(
            data.vocabulary,
            self.latent,
            embedding,
            self.features,
            _DROPOUT,
            data.longest,
            initial_state=True,
        )
        bound = _REFINED if refined else _NARROW
        uniform(decoder, weights=bound, biases=bound, embeddings=_WIDE)
        if isinstance(head, FlowHead) or not isinstance(
            getattr(head, "mean", None), NormalisedMean
        ):
            biases = 0.0 if isinstance(head, FlowHead) else bound
            for part in (encoder, head.linear):
                uniform(part, weights=bound, biases=biases, embeddings=_WIDE)
        return LatentModel(encoder, head, StandardGaussian(self.latent), decoder)


Network = ResNetPixelCnn | Lstm
_KINDS: dict[str, Callable[..., Network]] = {"resnet-pixelcnn": ResNetPixelCnn, "lstm": Lstm}


def network_of(settings: Mapping[str, Any]) -> Network:
    """The network of an argument `network`; ValueError or TypeError if there is none."""
    return of_kind(_KINDS, settings)
