"""The Bernoulli log-likelihood, from logits or from the features of a linear output layer.

sum_d x_d l_d - softplus(l_d) for logits l [S, B, D] and x [B, D]. On CPUs `log1p`, and so torch's
softplus and cross-entropy, runs element by element; log(1 + e) is vectorised and five times as
fast. What it loses, at most 6e-8 nats a pixel, is below the rounding of the sum. One sample at a
time keeps the temporaries in the cache.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear


def log_likelihood(logits: Tensor, x: Tensor) -> Tensor:
    """sum_d [x_d log p_d + (1 - x_d) log(1 - p_d)] with p = sigmoid(logits), in nats.

    logits [S, B, D], x [B, D] (constant, values in [0, 1]) -> [S, B]. For x that is not binary
    this is the negative cross-entropy, whose maximum is below zero.
    """
    compiling = torch.compiler.is_compiling()
    function = _CompiledLogLikelihood if compiling else _LogLikelihood
    result: Tensor = function.apply(logits, x)
    return result


def linear_log_likelihood(h: Tensor, weight: Tensor, bias: Tensor, x: Tensor) -> Tensor:
    """`log_likelihood(linear(h, weight, bias), x)`, in nats: h [S, B, H], x [B, D] -> [S, B].

    The bias is added where the logits are in the cache; torch would first write it S * B times.
    """
    if torch.is_autocast_enabled(h.device.type):  # the product is rounded, what follows is not
        return log_likelihood(linear(h, weight, bias).to(x.dtype), x)
    compiling = torch.compiler.is_compiling()
    function = _CompiledLinearLogLikelihood if compiling else _LinearLogLikelihood
    result: Tensor = function.apply(h, weight, bias, x)
    return result


class _LogLikelihood(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, x: Tensor) -> Tensor:
        ctx.save_for_backward(logits, x)
        return _scores(logits, x)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        logits, x = ctx.saved_tensors
        return _slopes(logits, x, gradient), None


class _LinearLogLikelihood(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, h: Tensor, weight: Tensor, bias: Tensor, x: Tensor) -> Tensor:
        logits = torch.unflatten(torch.mm(h.flatten(0, 1), weight.t()), 0, h.shape[:2])
        result = _scores(logits, x, bias)
        ctx.save_for_backward(h, weight, bias, x, logits)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        h, weight, bias, x, logits = ctx.saved_tensors
        if torch.is_grad_enabled():  # then the logits must be known as a function of the inputs
            logits = linear(h, weight, bias)
        slopes = _slopes(logits, x, gradient).flatten(0, 1)
        to_h = torch.mm(slopes, weight).view_as(h)
        return to_h, torch.mm(slopes.t(), h.flatten(0, 1)), slopes.sum(0), None


class _CompiledLogLikelihood(torch.autograd.Function):
    """One expression each way, which torch.compile makes one pass over the memory; it would unroll
    the loop over the samples."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, x: Tensor) -> Tensor:
        ctx.save_for_backward(logits, x)
        softplus = logits.clamp_min(0) + torch.log(1 + torch.exp(-logits.abs()))
        return (logits * x - softplus).sum(-1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        logits, x = ctx.saved_tensors
        return (x - torch.sigmoid(logits)) * gradient.unsqueeze(-1), None


class _CompiledLinearLogLikelihood(torch.autograd.Function):
    """The same with the output layer, from the negative logits: torch.compile would turn a product
    plus a bias back into the call that first writes the bias S * B times."""

    @staticmethod
    def forward(ctx: Any, h: Tensor, weight: Tensor, bias: Tensor, x: Tensor) -> Tensor:
        product = torch.unflatten(torch.mm(h.flatten(0, 1), weight.t()), 0, h.shape[:2])
        ctx.save_for_backward(h, weight, bias, x, product)
        negative = -product - bias
        softplus = (-negative).clamp_min(0) + torch.log(1 + torch.exp(-negative.abs()))
        return -(negative * x + softplus).sum(-1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        h, weight, bias, x, product = ctx.saved_tensors
        slopes = (x - torch.sigmoid(product + bias)) * gradient.unsqueeze(-1)
        slopes = slopes.flatten(0, 1)
        to_h = torch.mm(slopes, weight).view_as(h)
        return to_h, torch.mm(slopes.t(), h.flatten(0, 1)), slopes.sum(0), None


def _scores(logits: Tensor, x: Tensor, bias: Tensor | None = None) -> Tensor:
    """The log-likelihoods [S, B]; `bias` [D] is first added to the logits in place."""
    softplus, positive = torch.empty_like(x), torch.empty_like(x)
    result = logits.new_empty(logits.shape[:-1])
    for sample, row in zip(logits, result, strict=True):
        if bias is not None:
            sample.add_(bias)
        torch.abs(sample, out=softplus).neg_().exp_().add_(1).log_()
        softplus.add_(torch.clamp_min(sample, 0, out=positive))
        torch.mul(sample, x, out=positive).sub_(softplus)
        torch.sum(positive, -1, out=row)
    return result


def _slopes(logits: Tensor, x: Tensor, gradient: Tensor) -> Tensor:
    """The gradient of the logits [S, B, D], differentiable itself where gradients are on."""
    if torch.is_grad_enabled():
        return (x - torch.sigmoid(logits)) * gradient.unsqueeze(-1)
    result = torch.empty_like(logits)
    for sample, row, out in zip(logits, gradient, result, strict=True):
        torch.sigmoid(sample, out=out).neg_().add_(x).mul_(row.unsqueeze(-1))
    return result
