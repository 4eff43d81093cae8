"""The routes of the LSTM layer against torch's cell, step by step, and against calculus."""

from contextlib import nullcontext

import pytest
import torch
from torch import nn

from vaebench.models import recurrence
from vaebench.models.recurrence import Lstm, twice_differentiable

F64 = torch.float64
STEPS, SIZE, INPUTS, HIDDEN = 5, 3, 4, 6


def layer(dtype=F64, hidden=HIDDEN):
    """A layer and its inputs: what it is shown, hidden state and cell."""
    torch.manual_seed(0)
    parts = [
        torch.randn(*shape, dtype=dtype).requires_grad_()
        for shape in ((STEPS, SIZE, INPUTS), (SIZE, hidden), (SIZE, hidden))
    ]
    return Lstm(INPUTS, hidden).to(dtype), parts


def by_cells(lstm, inputs, hidden, cell):
    """The same by torch's cell."""
    single, outputs = nn.LSTMCell(INPUTS, HIDDEN, dtype=inputs.dtype), []
    named = {name.removesuffix("_l0"): weight for name, weight in lstm.layer.named_parameters()}
    for x in inputs:
        hidden, cell = torch.func.functional_call(single, named, (x, (hidden, cell)))
        outputs.append(hidden)
    return torch.stack(outputs)


def derived(lstm, parts, outputs, weights):
    """The gradients of a weighted sum of the outputs, by inputs, states and parameters."""
    return torch.autograd.grad((outputs * weights).sum(), [*parts, *lstm.parameters()])


@pytest.fixture(params=["kernel", "steps", "rounded"])
def route(request, monkeypatch):
    """A route, that of bfloat16 without its rounding."""

    def through(lstm, *parts):
        match request.param:
            case "kernel":
                return lstm(*parts)
            case "steps":
                with twice_differentiable():
                    return lstm(*parts)
        with torch.autocast("cpu", torch.bfloat16):
            return lstm(*parts)

    monkeypatch.setattr(recurrence, "_ROUNDED", F64)
    return through


def test_every_route_is_an_lstm(route):
    lstm, parts = layer()
    weights = torch.randn(STEPS, SIZE, HIDDEN, dtype=F64)
    found, expected = route(lstm, *parts), by_cells(lstm, *parts)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-13)
    ours, theirs = (derived(lstm, parts, outputs, weights) for outputs in (found, expected))
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-11, atol=1e-13)


def test_the_state_begins_at_zero(route):
    lstm, (inputs, hidden, cell) = layer()
    zeros = torch.zeros_like(hidden), torch.zeros_like(cell)
    torch.testing.assert_close(route(lstm, inputs), by_cells(lstm, inputs, *zeros))


def test_plain_steps_have_second_derivatives():
    lstm, parts = layer(hidden=2)
    names = [name for name, _ in lstm.named_parameters()]

    def function(*values):
        weights = dict(zip(names, values[3:], strict=True))
        with twice_differentiable():
            return torch.func.functional_call(lstm, weights, values[:3])[1:3]

    assert torch.autograd.gradgradcheck(function, (*parts, *lstm.parameters()))


def test_so_they_have_in_bfloat16():
    lstm, (inputs, *state) = layer(torch.float32)
    slopes = []
    for way in (nullcontext, twice_differentiable):
        with torch.autocast("cpu", torch.bfloat16), way():
            outputs = lstm(inputs, *state)
        (slope,) = torch.autograd.grad(outputs.float().square().sum(), inputs, create_graph=True)
        slopes.append(slope.sum())
    with pytest.raises(RuntimeError, match="once_differentiable"):
        slopes[0].backward(retain_graph=True)
    slopes[1].backward()
    assert (inputs.grad != 0).all()


def test_torchs_kernel_comes_back_after_the_plain_steps():
    lstm, parts = layer(torch.float32)
    kernel = lstm(*parts).grad_fn.name()
    with pytest.raises(KeyError), twice_differentiable():
        assert lstm(*parts).grad_fn.name() == "StackBackward0" != kernel
        raise KeyError
    assert lstm(*parts).grad_fn.name() == kernel


def test_gradients_need_no_training_mode_of_the_model():
    """cuDNN's kernel has them in its training mode alone, whatever the mode of the model."""
    lstm, (inputs, hidden, cell) = layer()
    lstm.eval()
    lstm(inputs, hidden, cell).sum().backward()
    assert lstm.layer.training and not lstm.training
    with torch.no_grad():
        lstm(inputs, hidden, cell)
    assert not lstm.layer.training


def test_bfloat16_is_near():
    torch.manual_seed(0)
    lstm = Lstm(40, 64)
    parts = [torch.randn(20, 8, 40), torch.randn(8, 64), torch.randn(8, 64)]
    parts = [part.requires_grad_() for part in parts]
    weights = torch.randn(20, 8, 64)
    exact = lstm(*parts)
    with torch.autocast("cpu", torch.bfloat16):
        rounded = lstm(*parts)
    assert (exact.dtype, rounded.dtype) == (torch.float32, torch.bfloat16)
    # Operands, sums of gates and states are rounded by up to 2^-9, mostly in different directions.
    near = 4 * 2**-9
    assert 0 < (rounded - exact).norm() < near * exact.norm()
    ours, theirs = (derived(lstm, parts, outputs.float(), weights) for outputs in (rounded, exact))
    for one, other in zip(ours, theirs, strict=True):
        assert one.dtype == torch.float32 and (one - other).norm() < near * other.norm()
