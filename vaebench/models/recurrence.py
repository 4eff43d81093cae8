"""One LSTM layer, by the route that suits: torch's kernel, our own in bfloat16, or plain steps.

Shapes: T steps, N sentences, I inputs, H hidden size. Gates are in torch's order: enter, keep, new
and show.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

from vaebench.models.activations import Tanh

_tanh = Tanh()
_ROUNDED = torch.bfloat16  # operands of products under autocast, on CPUs
_TWICE = ContextVar("twice", default=False)


@contextmanager
def twice_differentiable() -> Iterator[None]:
    """Within it, what a layer computes has second derivatives on every device and in any precision;
    cuDNN's kernel and our own have none. It takes longer."""
    before = _TWICE.set(True)
    try:
        yield
    finally:
        _TWICE.reset(before)


class Weights(NamedTuple):
    """Of inputs [4H, I], of the hidden state [4H, H], and the bias [4H]."""

    of_inputs: Tensor
    of_hidden: Tensor
    bias: Tensor


class Lstm(nn.Module):
    """Inputs [T, N, I], with the state before them or zeros -> hidden states [T, N, H].

    A gate has torch's two biases, of which only the sum matters, or `one_bias` as in Keras.
    """

    def __init__(self, inputs: int, hidden: int, *, one_bias: bool = False) -> None:
        super().__init__()
        self.hidden, self.one_bias = hidden, one_bias
        self.layer = nn.LSTM(inputs, hidden)
        if one_bias:
            del self.layer.bias_hh_l0
            self.layer.bias_hh_l0 = nn.Buffer(torch.zeros(4 * hidden), persistent=False)

    @property
    def weights(self) -> Weights:
        of_inputs, of_hidden, *biases = self.layer.all_weights[0]
        return Weights(of_inputs, of_hidden, biases[0] + biases[1])

    def forward(
        self, inputs: Tensor, hidden: Tensor | None = None, cell: Tensor | None = None
    ) -> Tensor:
        if hidden is None or cell is None:
            hidden = cell = inputs.new_zeros(inputs.shape[1], self.hidden)
        if _TWICE.get():
            return _steps(inputs, hidden, cell, self.weights)
        if inputs.device.type == "cpu" and torch.is_autocast_enabled("cpu"):
            outputs: Tensor = _Rounded.apply(inputs, hidden, cell, *self.weights)
            return outputs
        # A layer without dropout is the same in both modes, but cuDNN has gradients in one alone.
        self.layer.train(torch.is_grad_enabled())
        return self.layer(inputs, (hidden[None], cell[None]))[0]  # type: ignore[no-any-return]


def step(gates: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """Hidden state and cell [N, H] after a step, from its gates [N, 4H] before activation."""
    enter, keep, new, show = gates.chunk(4, 1)
    cell = torch.sigmoid(keep) * cell + torch.sigmoid(enter) * _tanh(new)
    return torch.sigmoid(show) * _tanh(cell), cell


def _steps(inputs: Tensor, hidden: Tensor, cell: Tensor, weights: Weights) -> Tensor:
    outputs = []
    for gates in F.linear(inputs, weights.of_inputs, weights.bias):
        hidden, cell = step(gates + F.linear(hidden, weights.of_hidden), cell)
        outputs.append(hidden)
    return torch.stack(outputs)


class _Rounded(torch.autograd.Function):
    """Products of bfloat16, states and all that is added up or derived in float32.

    torch's own layer is no faster under autocast than without, at the batch sizes of the papers.
    The gate `new` is tanh(a) = 2 sigmoid(2a) - 1, which spares a slow tanh: its weights are doubled
    in their bfloat16 copies, which is exact, and so are their gradients.
    """

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        hidden: Tensor,
        cell: Tensor,
        of_inputs: Tensor,
        of_hidden: Tensor,
        bias: Tensor,
    ) -> Tensor:
        count = len(inputs)
        seen = inputs.to(_ROUNDED)
        of_inputs, of_hidden, bias = (
            _doubled(weight).to(seen.dtype) for weight in (of_inputs, of_hidden, bias)
        )
        gates = F.linear(seen, of_inputs, bias)
        states = gates.new_empty(count + 1, *hidden.shape)
        states[0] = hidden
        cells = cell.new_empty(count + 1, *cell.shape)
        cells[0] = cell
        active = cell.new_empty(gates.shape)  # the sigmoids of the gates
        shown = cell.new_empty(count, *cell.shape)  # the tanh of the cells
        for t in range(count):
            torch.addmm(gates[t], states[t], of_hidden.t(), out=gates[t])
            active[t].copy_(gates[t]).sigmoid_()
            enter, keep, new, show = active[t].chunk(4, 1)
            torch.mul(keep, cells[t], out=cells[t + 1]).addcmul_(enter, 2 * new - 1)
            torch.add(cells[t + 1], cells[t + 1], out=shown[t]).sigmoid_().mul_(2).sub_(1)
            states[t + 1] = show * shown[t]
        ctx.save_for_backward(seen, of_inputs, of_hidden, states, cells, active, shown)
        return states[1:]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, ...]:
        seen, of_inputs, of_hidden, states, cells, active, shown = ctx.saved_tensors
        slopes = torch.empty_like(active, dtype=seen.dtype)
        to_hidden, to_cell = torch.zeros_like(cells[0]), torch.zeros_like(cells[0])
        to_gates = torch.empty_like(active[0])
        for t in reversed(range(len(seen))):
            enter, _, new, show = active[t].chunk(4, 1)
            to_enter, to_keep, to_new, to_show = to_gates.chunk(4, 1)
            to_hidden += gradient[t]
            to_cell += to_hidden * show * (1 - shown[t].square())
            torch.mul(to_hidden, shown[t], out=to_show)
            torch.mul(to_cell, 2 * new - 1, out=to_enter)
            torch.mul(to_cell, cells[t], out=to_keep)
            torch.mul(to_cell, enter, out=to_new).mul_(2)
            to_cell *= active[t].chunk(4, 1)[1]
            slopes[t] = to_gates.mul_(active[t]).mul_(1 - active[t])
            to_hidden = torch.mm(slopes[t], of_hidden).to(to_cell.dtype)
        flat = slopes.flatten(0, 1)
        to_weights = (
            flat.t() @ seen.flatten(0, 1),
            flat.t() @ states[:-1].flatten(0, 1),
            flat.sum(0, dtype=to_cell.dtype),
        )
        to_inputs = (flat @ of_inputs).view_as(seen)
        doubled = (_doubled(weight.to(to_cell.dtype)) for weight in to_weights)
        return to_inputs, to_hidden, to_cell, *doubled


def _doubled(weight: Tensor) -> Tensor:
    """A weight [4H, ...] with the rows of the gate `new` doubled."""
    size = len(weight) // 4
    doubled = weight.clone()
    doubled[2 * size : 3 * size] *= 2
    return doubled
