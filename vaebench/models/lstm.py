"""LSTM encoder and decoder of sentences (Bowman et al., 2016, as in the code of He et al., 2019).

A sentence is <s>, its words and </s>, and in a batch padding up to the longest. From <s> on, the
decoder is shown every word and says what comes next. Shapes: B sentences of T ids, S samples,
N codes, K latent size, V vocabulary, H hidden size.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vaebench.data.tokenizers import BOS, PAD
from vaebench.estimators import categorical
from vaebench.models import decoding, recurrence
from vaebench.models.recurrence import Lstm

# Sentences at a time without gradients: many for fast products, few for a small buffer of logits.
_ROWS, _ROWS_ELSEWHERE = 500, 4_000


class LstmEncoder(nn.Module):
    """x [B, T] -> the hidden state after </s>, [B, hidden]."""

    def __init__(self, vocabulary: int, embedding: int, hidden: int) -> None:
        super().__init__()
        self.features = hidden
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.lstm = Lstm(embedding, hidden)

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.lstm(self.embedding(x.t()))
        ends = (x != PAD).sum(1) - 1
        return outputs[ends, torch.arange(len(x), device=x.device)]


@dataclass(frozen=True)
class State:
    """Where N sentences stand: `code` [N, 4H] is what their codes add to the gates of every step,
    `hidden` and `cell` [N, H] what the words so far have left."""

    code: Tensor
    hidden: Tensor
    cell: Tensor

    def select(self, rows: Tensor) -> "State":
        """The states of the sentences at `rows` (int64 [M]), which may repeat."""
        return State(*(part.index_select(0, rows) for part in self.parts))

    @property
    def parts(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.code, self.hidden, self.cell


class LstmDecoder(nn.Module):
    """p(x|z), word by word. z is concatenated to the embedding of every word.

    With `initial_state`, z also makes the state before the first word: the cell is a linear map of
    it and the hidden state its tanh; otherwise that is zero. `dropout` is that of word embeddings
    and of outputs. Sentences of `longest` ids at most are drawn. `keras_biases` are one a gate and
    one a word; otherwise gates have two and words none.
    """

    def __init__(
        self,
        vocabulary: int,
        latent: int,
        embedding: int,
        hidden: int,
        dropout: float,
        longest: int,
        *,
        initial_state: bool,
        keras_biases: bool = False,
    ) -> None:
        super().__init__()
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout is {dropout!r}; expected a probability from 0, below 1")
        self.dropout, self.longest = dropout, longest
        self.embedding = nn.Embedding(vocabulary, embedding)
        self.initial = nn.Linear(latent, hidden, bias=False) if initial_state else None
        self.lstm = Lstm(embedding + latent, hidden, one_bias=keras_biases)
        self.output = nn.Linear(hidden, vocabulary, bias=keras_biases)

    @property
    def constant_variance(self) -> None:
        """Words have no variance."""

    def log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z) in nats, summed over words and </s>: x [B, T], z [S, B, K] -> [S, B]."""
        samples, size = z.shape[:2]
        rounded = torch.is_autocast_enabled(z.device.type)
        if not (self.training or torch.is_grad_enabled() or rounded):
            return self._log_prob_in_chunks(x, z)
        words = F.dropout(self.embedding(x[:, :-1].t()), self.dropout, self.training)
        seen = words[:, None].expand(-1, samples, -1, -1)
        codes = z.expand(len(words), *z.shape)
        inputs = torch.cat([seen, codes], 3).flatten(1, 2)
        outputs = self.lstm(inputs, *self._initial(z.flatten(0, 1)))
        h = F.dropout(outputs, self.dropout, self.training).flatten(0, 1)
        targets = x[:, 1:].t()[:, None].expand(-1, samples, -1).flatten()
        scores = _scores(h, self.output, targets, equal=samples == 1)
        return scores.view(-1, samples, size).sum(0)

    def mean(self, z: Tensor) -> Tensor:
        """TypeError: words have no mean."""
        raise TypeError("sentences have no mean")

    @torch.no_grad()
    def sample(self, z: Tensor) -> Tensor:
        """Sentences drawn from p(x|z) in evaluation mode: [..., K] -> ids [..., longest].

        <s>, words and </s>, then padding; a sentence that gets too long has no </s>. Neither
        padding nor <s> is drawn as a word.
        """
        decoder: Any = self  # whose states are of its own kind
        words = self.longest - 1
        parts = torch.split(z.flatten(0, -2), _ROWS)
        drawn = [decoding.sampled(decoder, some, words) for some in parts]
        padded = [F.pad(some, (1, words - some.shape[1]), value=PAD) for some in drawn]
        x = torch.cat(padded)
        x[:, 0] = BOS
        return torch.unflatten(x, 0, z.shape[:-1])

    def start(self, z: Tensor) -> State:
        """Before the first word, which is <s>: codes [N, K]."""
        weights = self.lstm.weights
        of_codes = weights.of_inputs[:, self.embedding.embedding_dim :]
        return State(F.linear(z, of_codes, weights.bias), *self._initial(z))

    def advance(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Show a word to each sentence: the logits of the next one [N, V], from tokens [N].

        As in evaluation: without dropout.
        """
        of_inputs, of_hidden, _ = self.lstm.weights
        of_words = of_inputs[:, : self.embedding.embedding_dim]
        gates = F.linear(self.embedding(tokens), of_words) + state.code
        gates = gates + F.linear(state.hidden, of_hidden)
        hidden, cell = recurrence.step(gates, state.cell)
        return self.output(hidden), State(state.code, hidden, cell)

    def _initial(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden state and cell before the first word, [N, H]."""
        if self.initial is None:
            zeros = z.new_zeros(len(z), self.lstm.hidden)
            return zeros, zeros
        cell = self.initial(z).to(z.dtype)
        return torch.tanh(cell), cell

    def _log_prob_in_chunks(self, x: Tensor, z: Tensor) -> Tensor:
        """`log_prob` without dropout and gradients, many rows at a time and not too many."""
        samples, size = z.shape[:2]
        most = _most_rows(z)
        some = math.ceil(samples / math.ceil(samples / most))
        sentences = max(1, most // some)
        found = z.new_empty(samples, size)
        for start in range(0, size, sentences):
            part = slice(start, start + sentences)
            codes, scores = torch.split(z[:, part], some), torch.split(found[:, part], some)
            for these, row in zip(codes, scores, strict=True):
                row.copy_(self._log_prob_of_chunk(x[part], these))
        return found

    def _log_prob_of_chunk(self, x: Tensor, z: Tensor) -> Tensor:
        """The same, all rows at once. A step of the words is computed once a sentence, that of a
        code once. Where rows are few, several steps have their logits made together, so that the
        weights of the output are not read for each; they take the place of those before."""
        samples, size = z.shape[:2]
        of_inputs, of_hidden, _ = self.lstm.weights
        of_words = of_inputs[:, : self.embedding.embedding_dim]
        code, hidden, cell = self.start(z.flatten(0, 1)).parts
        gates, total = torch.empty_like(code), code.new_zeros(len(code))
        rows, words = len(code), x.t()
        together = min(len(words) - 1, max(1, _most_rows(z) // rows))
        outputs = code.new_empty(together, *hidden.shape)
        logits = code.new_empty(together * rows, self.output.out_features)
        parts = torch.split(words[:-1], together), torch.split(words[1:], together)
        for shown, targets in zip(*parts, strict=True):
            for word, output in zip(shown, outputs, strict=False):
                torch.addmm(code, hidden, of_hidden.t(), out=gates)
                gates.view(samples, size, -1).add_(F.linear(self.embedding(word), of_words))
                hidden, cell = recurrence.step(gates, cell)
                output.copy_(hidden)
            h, wanted = outputs[: len(targets)].flatten(0, 1), targets.repeat(1, samples).flatten()
            made = categorical.logits(h, self.output.weight, self.output.bias, out=logits[: len(h)])
            scores = categorical.scores(made, wanted)
            total += torch.where(wanted != PAD, scores, 0).view(-1, rows).sum(0)
        return total.view(samples, size)


def _most_rows(z: Tensor) -> int:
    """Of how many rows logits are in memory at a time."""
    return _ROWS if z.device.type == "cpu" else _ROWS_ELSEWHERE


def uniform(module: nn.Module, *, weights: float, biases: float, embeddings: float) -> nn.Module:
    """Draw all parameters from [-bound, bound], each kind with a bound of its own."""
    with torch.no_grad():
        for layer in module.modules():
            of_words = isinstance(layer, nn.Embedding)
            for name, parameter in layer.named_parameters(recurse=False):
                bound = biases if name.startswith("bias") else weights
                bound = embeddings if of_words else bound
                parameter.uniform_(-bound, bound)
    return module


def _scores(h: Tensor, output: nn.Linear, targets: Tensor, *, equal: bool) -> Tensor:
    """The log-likelihoods of targets [M] from features [M, H]; those of padding are zero."""

    def score(h: Tensor, targets: Tensor) -> Tensor:
        return categorical.linear_log_likelihood(
            h, output.weight, targets, equal=equal, bias=output.bias
        )

    counted = targets != PAD
    if h.device.type != "cpu":  # which would have to be waited for
        return torch.where(counted, score(h, targets), 0)
    if bool(counted.all()):
        return score(h, targets)
    (rows,) = counted.nonzero(as_tuple=True)
    some = score(h[rows], targets[rows])
    return some.new_zeros(len(h)).index_put((rows,), some)
