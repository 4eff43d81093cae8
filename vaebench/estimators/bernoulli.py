"""The Bernoulli log-likelihood from logits."""

from typing import Any

import torch
from torch import Tensor


class _LogLikelihood(torch.autograd.Function):
    """sum_d x_d l_d - softplus(l_d) for logits [S, B, D] and x [B, D].

    `log1p`, and so torch's softplus and cross-entropy, runs element by element on CPUs; log(1 + e)
    is vectorised and five times as fast. What it loses, at most 6e-8 nats a pixel, is below the
    rounding of the sum. One sample at a time keeps the temporaries in the cache.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, x: Tensor) -> Tensor:
        ctx.save_for_backward(logits, x)
        softplus, positive = torch.empty_like(x), torch.empty_like(x)
        result = logits.new_empty(logits.shape[:-1])
        for sample, row in zip(logits, result, strict=True):
            torch.abs(sample, out=softplus).neg_().exp_().add_(1).log_()
            softplus.add_(torch.clamp_min(sample, 0, out=positive))
            torch.mul(sample, x, out=positive).sub_(softplus)
            torch.sum(positive, -1, out=row)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        logits, x = ctx.saved_tensors
        if torch.is_grad_enabled():  # the gradient will itself be differentiated
            return (x - torch.sigmoid(logits)) * gradient.unsqueeze(-1), None
        result = torch.empty_like(logits)
        for sample, row, out in zip(logits, gradient, result, strict=True):
            torch.sigmoid(sample, out=out).neg_().add_(x).mul_(row.unsqueeze(-1))
        return result, None


class _CompiledLogLikelihood(torch.autograd.Function):
    """The same as one expression each way, which torch.compile makes one pass over the memory.

    It would unroll the loop over the samples above and take six times as long.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, x: Tensor) -> Tensor:
        ctx.save_for_backward(logits, x)
        softplus = logits.clamp_min(0) + torch.log(1 + torch.exp(-logits.abs()))
        return (logits * x - softplus).sum(-1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        logits, x = ctx.saved_tensors
        return (x - torch.sigmoid(logits)) * gradient.unsqueeze(-1), None


def log_likelihood(logits: Tensor, x: Tensor) -> Tensor:
    """sum_d [x_d log p_d + (1 - x_d) log(1 - p_d)] with p = sigmoid(logits), in nats.

    logits [S, B, D], x [B, D] (constant, values in [0, 1]) -> [S, B]. For x that is not binary
    this is the negative cross-entropy, whose maximum is below zero.
    """
    compiling = torch.compiler.is_compiling()
    function = _CompiledLogLikelihood if compiling else _LogLikelihood
    result: Tensor = function.apply(logits, x)
    return result
