"""Activations that torch computes slowly."""

from typing import Any

import torch
from torch import Tensor, nn


class Tanh(nn.Module):
    """tanh; on CPUs as 2 sigmoid(2x) - 1, which is vectorised there and five times as fast.

    Its error is at most 2e-7, where torch.tanh's is 4e-8.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.device.type != "cpu":
            return torch.tanh(x)
        if not torch.is_grad_enabled():  # plain steps, which forward-mode derivatives can follow
            return torch.sigmoid(x + x) * 2 - 1
        result: Tensor = _Tanh.apply(x)
        return result


class _Tanh(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        y = torch.sigmoid(x + x).mul_(2).sub_(1)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (y,) = ctx.saved_tensors
        result: Tensor = torch.ops.aten.tanh_backward(gradient, y)
        return result
