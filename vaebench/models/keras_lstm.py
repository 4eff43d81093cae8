"""LSTM networks of sentences as IGP has them (Section 4, Model Configurations), in the fashion of
Keras.

A word has one embedding in encoder and decoder, a gate one bias. There is no dropout. Shapes: B
sentences of T ids (<s>, words, </s>, padding).
"""

import torch
from torch import Tensor, nn

from vaebench.data.tokenizers import EOS, PAD
from vaebench.models.classifiers import Classifier
from vaebench.models.initialisation import keras
from vaebench.models.lstm import LstmDecoder
from vaebench.models.recurrence import Lstm

_DENSE = 128


class EndEncoder(nn.Module):
    """x [B, T] -> the output at </s>, [B, hidden], and zeros for a sentence that has none.

    The sentence is shown with its <s> if it is told to `show_start`.
    """

    def __init__(self, vocabulary: int, embedding: int, hidden: int, *, show_start: bool) -> None:
        super().__init__()
        self.features = hidden
        self.show_start = show_start
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.lstm = Lstm(embedding, hidden, one_bias=True)

    def forward(self, x: Tensor) -> Tensor:
        shown = x if self.show_start else x[:, 1:]
        outputs: Tensor = self.lstm(self.embedding(shown.t()))
        ended, places = (shown == EOS).max(1)
        found = outputs[places, torch.arange(len(x), device=x.device)]
        return torch.where(ended[:, None], found, 0)


def encoder_and_decoder(
    vocabulary: int, latent: int, embedding: int, hidden: int, longest: int
) -> tuple[EndEncoder, LstmDecoder]:
    """Those of a VAE, which share their embedding, initialised as Keras does.

    The encoder is not shown <s>. The decoder's state begins at zero, and sees z at each step.
    """
    encoder = EndEncoder(vocabulary, embedding, hidden, show_start=False)
    decoder = _decoder(vocabulary, latent, embedding, hidden, longest)
    decoder.embedding = encoder.embedding
    keras(nn.ModuleList([encoder, decoder]))
    return encoder, decoder


class LanguageModel(nn.Module):
    """A decoder that sees no code: p(x), of sentences of up to `longest` ids."""

    def __init__(self, vocabulary: int, embedding: int, hidden: int, longest: int) -> None:
        super().__init__()
        self.decoder = _decoder(vocabulary, 0, embedding, hidden, longest)
        keras(self)

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x) in nats, summed over words and </s>, [B]."""
        code = self.decoder.output.weight.new_empty(1, len(x), 0)
        return self.decoder.log_prob(x, code)[0]

    @staticmethod
    def terms(x: Tensor) -> Tensor:
        """Over how many words, </s> among them, it is summed, [B]."""
        return (x[:, 1:] != PAD).sum(1)


def sentence_classifier(vocabulary: int, embedding: int, hidden: int, classes: int) -> Classifier:
    """Sentences -> logits: an LSTM's output at </s> and two dense layers of 128 ReLUs."""
    body = nn.Sequential(
        EndEncoder(vocabulary, embedding, hidden, show_start=True),
        nn.Linear(hidden, _DENSE),
        nn.ReLU(),
        nn.Linear(_DENSE, _DENSE),
        nn.ReLU(),
    )
    classifier = Classifier(body, _DENSE, classes)
    keras(classifier)
    return classifier


def _decoder(
    vocabulary: int, latent: int, embedding: int, hidden: int, longest: int
) -> LstmDecoder:
    sizes = vocabulary, latent, embedding, hidden
    return LstmDecoder(*sizes, 0.0, longest, initial_state=False, keras_biases=True)
