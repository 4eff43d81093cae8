"""Sentences of a random network that is told a point of a mixture of Gaussians.

He et al. (2019) and DU-VAE's case study: what they leave open is the mixture's weights (equal), the
MLP (one hidden layer, tanh), the embeddings (as the LSTM's parameters), the first cell state (zero)
and the first input (zero).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vaebench.data.corpora import Corpus
from vaebench.data.draws import normal, uniform

Floats = NDArray[np.float64]

CENTRES = ((0, 0), (-2, -2), (-2, 2), (2, -2), (2, 2))
WORDS, LENGTH = 1_000, 10
_SIZES = {"train": 16_000, "validation": 2_000, "test": 2_000}
_HIDDEN = 100
_CHUNK = 1_000  # sentences at a time, so that the logits fit the processor's cache
_SEEDS = {"network": 20_260_151, "components": 20_260_152, "noise": 20_260_153, "words": 20_260_154}


def make() -> dict[str, Corpus]:
    """The splits of `gaussian-sentences`: words w0 to w999, the component as class."""
    size = sum(_SIZES.values())
    z, labels = points(size)
    drawn = uniform(size * LENGTH, _SEEDS["words"]).astype(np.float64).reshape(size, LENGTH)
    network = Network.drawn(_SEEDS["network"])
    starts = range(0, size, _CHUNK)
    ids = np.concatenate([network.words(z[i : i + _CHUNK], drawn[i : i + _CHUNK]) for i in starts])
    sentences = [" ".join(f"w{word}" for word in row) for row in ids.tolist()]
    whole = Corpus(sentences, labels)
    parts = np.split(np.arange(size), np.cumsum(list(_SIZES.values()))[:-1])
    return {name: whole.some(part) for name, part in zip(_SIZES, parts, strict=True)}


def points(size: int) -> tuple[Floats, NDArray[np.int64]]:
    """Draws of the mixture [N,2] and their components [N], of which 0 is the one in the middle."""
    shares = uniform(size, _SEEDS["components"]).astype(np.float64)
    labels = (shares * len(CENTRES)).astype(np.int64)
    noise = normal(2 * size, _SEEDS["noise"]).reshape(size, 2)
    return np.array(CENTRES, np.float64)[labels] + noise, labels


@dataclass(frozen=True)
class Network:
    """An LSTM (torch's order of the gates: input, forget, cell, output) whose state begins with an
    affine map of z, and an MLP from its output and z to the words."""

    first: Floats  # [2 + 1, H], the last row the bias; so below
    embeddings: Floats  # [W, H]
    inputs: Floats  # [H, 4 H]
    recurrent: Floats  # [H + 2, 4 H], the last rows both biases
    hidden: Floats  # [H + 2 + 1, H]
    output: Floats  # [H + 1, W]

    @classmethod
    def drawn(cls, seed: int) -> "Network":
        """Uniform parameters: those of the MLP in [-5, 5), all others in [-1, 1)."""
        h = _HIDDEN
        shapes = {
            "first": (3, h),
            "embeddings": (WORDS, h),
            "inputs": (h, 4 * h),
            "recurrent": (h + 2, 4 * h),
            "hidden": (h + 3, h),
            "output": (h + 1, WORDS),
        }
        ends = np.cumsum([np.prod(shape) for shape in shapes.values()])
        numbers = 2 * uniform(int(ends[-1]), seed).astype(np.float64) - 1
        parts = zip(shapes.items(), np.split(numbers, ends[:-1]), strict=True)
        found = {name: part.reshape(shape) for (name, shape), part in parts}
        return cls(**{**found, **{name: 5 * found[name] for name in ("hidden", "output")}})

    def words(self, z: Floats, drawn: Floats) -> NDArray[np.int64]:
        """Sentences [N,T] for points z [N,2]: the words at the quantiles `drawn` [N,T] of their
        distributions."""
        state = z @ self.first[:-1] + self.first[-1]
        cell, told = np.zeros_like(state), np.zeros((len(z), 4 * _HIDDEN))
        table, found = self.embeddings @ self.inputs, []
        for step in range(drawn.shape[1]):
            gates = told + state @ self.recurrent[:-2] + self.recurrent[-2:].sum(0)
            entry, keep, new, out = np.split(gates, 4, axis=1)
            cell = _sigmoid(keep) * cell + _sigmoid(entry) * np.tanh(new)
            state = _sigmoid(out) * np.tanh(cell)
            hidden = np.tanh(np.hstack([state, z]) @ self.hidden[:-1] + self.hidden[-1])
            logits = hidden @ self.output[:-1] + self.output[-1]
            shares = np.exp(logits - logits.max(1, keepdims=True)).cumsum(1)
            word = (shares <= drawn[:, step, None] * shares[:, -1:]).sum(1)
            told = table[word]
            found.append(word)
        return np.stack(found, 1)


def _sigmoid(x: Floats) -> Floats:
    share: Floats = 0.5 * (1 + np.tanh(0.5 * x))
    return share
