"""The model: encoder, posterior head, prior and decoder, put together."""

from collections.abc import Iterator

from torch import Tensor, nn

from vaebench.models.parts import Decoder, Encoder, PosteriorHead, Prior
from vaebench.models.posteriors import Posterior


class LatentModel(nn.Module):
    """Four parts and no loss: objectives and evaluators work on `infer`, `prior`, `decoder`."""

    def __init__(
        self, encoder: Encoder, head: PosteriorHead, prior: Prior, decoder: Decoder
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = head
        self.prior = prior
        self.decoder = decoder

    def infer(self, x: Tensor) -> Posterior:
        """q(z|x) for a batch x [B, *shape]."""
        return self.head(self.encoder(x))

    def inference_parameters(self) -> Iterator[nn.Parameter]:
        """The parameters of q: encoder and head."""
        yield from self.encoder.parameters()
        yield from self.head.parameters()

    def generative_parameters(self) -> Iterator[nn.Parameter]:
        """The parameters of p: prior and decoder."""
        yield from self.prior.parameters()
        yield from self.decoder.parameters()


class DataThemselves(nn.Module):
    """In the place of a model where a table's row is the data themselves."""


def glorot_uniform(module: nn.Module) -> nn.Module:
    """Initialise every linear layer as Keras does: Glorot uniform weights, zero biases."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    return module
