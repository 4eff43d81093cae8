"""Judges: networks that are trained to look at what others generate.

Classifiers of images, whose features stand in for Inception's in Frechet distances: these have
names of their own, FD-lenet and FD-attr, and are never compared with FIDs. Language models, and
classifiers of sentences.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vaebench.data.dataset import Batch, DataInfo, Split, TextSplit
from vaebench.evaluation.perplexities import generated
from vaebench.methods import method
from vaebench.models import keras_lstm
from vaebench.models.classifiers import pooled, strided
from vaebench.models.latent import LatentModel
from vaebench.objectives.clock import Clock
from vaebench.training.recipe import Recipe


@method
def lenet(data: DataInfo, *, filters: Sequence[int], features: int) -> Recipe:
    """FD-lenet: two 5x5 convolutions of 32 and 64 filters and 128 features, for classes."""
    _check_sizes(filters, features)
    if data.classes < 2:
        raise ValueError(f"{data.name} has no classes; attributes is the judge for attributes")
    return Recipe(pooled(data.shape, filters, features, data.classes), classification)


@method
def attributes(data: DataInfo, *, filters: Sequence[int]) -> Recipe:
    """FD-attr: four 4x4 convolutions of 32 to 256 filters, the last the features, for attributes
    that are there or not."""
    _check_sizes(filters, 1)
    if data.attributes < 1:
        raise ValueError(f"{data.name} has no attributes; lenet is the judge for classes")
    return Recipe(strided(data.shape, filters, data.attributes), attribution)


def classification(model: nn.Module, batch: Batch, clock: Clock) -> dict[str, Tensor]:
    """The cross-entropy in nats, and the share of right answers in percent."""
    logits = model(batch.x)
    right = (logits.argmax(-1) == batch.y).float().mean()
    return {"loss": F.cross_entropy(logits, batch.y), "accuracy": 100 * right}


def attribution(model: nn.Module, batch: Batch, clock: Clock) -> dict[str, Tensor]:
    """The same for attributes [B, A] of 0 and 1, as means over them."""
    logits = model(batch.x)
    loss = F.binary_cross_entropy_with_logits(logits, batch.y.to(logits.dtype))
    right = ((logits > 0) == (batch.y > 0)).to(torch.float32).mean()
    return {"loss": loss, "accuracy": 100 * right}


def _check_sizes(filters: Sequence[int], features: int) -> None:
    sizes = list(filters) if isinstance(filters, Sequence) else [0]
    for size in (features, *(sizes or [0])):
        if not isinstance(size, int) or size < 1:
            raise ValueError(f"filters is {filters!r}, features {features!r}; expected sizes")


@method
def language_model(data: DataInfo, *, embedding: int, hidden: int) -> Recipe:
    """An LSTM that predicts each word from those before it: forward perplexity of IGP."""
    return Recipe(_language_model(data, embedding, hidden), likelihood)


@method
def sampled_language_model(
    data: DataInfo, *, embedding: int, hidden: int, count: int, source: LatentModel
) -> Recipe:
    """The same that learns from `count` sentences which an autoencoder has decoded greedily from
    its prior: reverse perplexity of IGP."""

    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise ValueError(f"count is {count!r}; expected a number from 1")
    made: list[TextSplit] = []

    def learnt_from(split: Split) -> TextSplit:
        if not made:  # for all splits: the model is not watched while it learns
            device = split.labels.device
            made.append(generated(source.to(device), count, data.longest - 1, device))
        return made[0]

    return Recipe(_language_model(data, embedding, hidden), likelihood, examples=learnt_from)


@method
def sentence_classifier(data: DataInfo, *, embedding: int, hidden: int) -> Recipe:
    """An LSTM and two dense layers of 128 ReLUs, for classes: agreement of IGP."""
    _check_text(data, embedding, hidden)
    if data.classes < 2:
        raise ValueError(f"{data.name} has no classes")
    model = keras_lstm.sentence_classifier(data.vocabulary, embedding, hidden, data.classes)
    return Recipe(model, classification)


def likelihood(model: Any, batch: Batch, clock: Clock) -> dict[str, Tensor]:
    """Mean of -log p(x) over the sentences, in nats."""
    return {"loss": -model.log_prob(batch.x).mean()}


def _language_model(data: DataInfo, embedding: int, hidden: int) -> keras_lstm.LanguageModel:
    _check_text(data, embedding, hidden)
    return keras_lstm.LanguageModel(data.vocabulary, embedding, hidden, data.longest)


def _check_text(data: DataInfo, embedding: int, hidden: int) -> None:
    for size in (embedding, hidden):
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ValueError(f"embedding is {embedding!r}, hidden {hidden!r}; expected sizes")
    if not data.vocabulary:
        raise ValueError(f"{data.name} is images, and this judge is for text")
