"""The log-likelihood of classes, the logits a linear map of features.

Shapes: M rows, H features, V classes. Of the M x V logits no more than a chunk is in memory at a
time. On CPUs the gradients can be made in the forward pass, where the probabilities are at hand and
the weights of the rows in the loss are not yet known: the gradient of the features is multiplied by
them later, and that of the linear map if they are equal, as in a mean over data. Where they are
not, and on GPUs, the chunks are computed again.
"""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

# Logits of a chunk: 640 rows of the papers' vocabulary, enough for fast products.
_LOGITS, _LOGITS_ELSEWHERE = 640 * 20_001, 8_192 * 20_001
_BLOCK = 64 * 20_001  # logits that stay in a CPU's cache between two passes over them


def linear_log_likelihood(
    h: Tensor, weight: Tensor, targets: Tensor, *, equal: bool, bias: Tensor | None = None
) -> Tensor:
    """log softmax(h weight^T + bias)[target] in nats: h [M, H], weight [V, H], targets [M], bias
    [V] -> [M].

    `equal` says that the rows are expected to have equal weights in the loss: where they have,
    training is faster, and where they have not, slower, on CPUs. Under autocast the products are
    rounded and what follows is not; the result has the precision of `weight`.
    """
    kind = h.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype
    function: Any = _LinearLogLikelihood.apply
    ahead = equal and kind == "cpu"
    result: Tensor = function(h.to(weight.dtype), weight, bias, targets, ahead, dtype)
    return result


def logits(h: Tensor, weight: Tensor, bias: Tensor | None, *, out: Tensor) -> Tensor:
    """h weight^T + bias, written into `out` [M, V]."""
    if bias is None:
        return torch.mm(h, weight.t(), out=out)
    return torch.addmm(bias, h, weight.t(), out=out)


def scores(logits: Tensor, targets: Tensor) -> Tensor:
    """log softmax(logits)[target] in nats, [M], without gradients; the logits [M, V] are lost."""
    found = logits.new_empty(len(logits))
    _score(logits, targets, found, slopes=False)
    return found


class _LinearLogLikelihood(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        h: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        ahead: bool,
        dtype: torch.dtype,
    ) -> Tensor:
        ctx.save_for_backward(h, weight, bias, targets)
        ctx.dtype = dtype
        ahead = ahead and any(ctx.needs_input_grad)
        result, ctx.slopes = _in_chunks(h, weight, bias, targets, None, dtype, slopes=ahead)
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        slopes: Any
        h, weight, bias, targets = ctx.saved_tensors
        if torch.is_grad_enabled():
            slopes = _differentiable_slopes(h, weight, bias, targets, gradient)
        elif ctx.slopes is not None and bool((gradient == gradient[:1]).all()):
            slopes = ctx.slopes
            for made in slopes:
                made.mul_(gradient[0] if len(gradient) else 1.0)
        else:
            _, slopes = _in_chunks(h, weight, bias, targets, gradient, ctx.dtype, slopes=True)
        ctx.slopes = None  # multiplied in place, so not for another backward pass
        to_h, to_weight, *to_bias = slopes
        return to_h, to_weight, to_bias[0] if to_bias else None, None, None, None


def _in_chunks(
    h: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    targets: Tensor,
    gradient: Tensor | None,
    dtype: torch.dtype,
    *,
    slopes: bool,
) -> tuple[Tensor, tuple[Tensor, ...] | None]:
    """The log-likelihoods [M], and if wanted the gradients of h, weight and, if there is one, the
    bias, from a `gradient` [M] of the log-likelihoods or from ones."""
    result = weight.new_empty(len(h))
    most = _LOGITS if h.device.type == "cpu" else _LOGITS_ELSEWHERE
    size = max(1, min(len(h), most // len(weight)))
    rows, columns = h.to(dtype), weight.to(dtype)
    offset = None if bias is None else bias.to(dtype)
    buffer = columns.new_empty(size, len(weight))
    to_h = torch.empty_like(h) if slopes else None
    to_weight = torch.zeros_like(weight) if slopes else None
    to_bias = torch.zeros_like(bias) if slopes and bias is not None else None
    for start in range(0, len(h), size):
        part = slice(start, start + size)
        some = rows[part]
        products = logits(some, columns, offset, out=buffer[: len(some)])
        _score(products, targets[part], result[part], slopes=slopes)
        if to_h is None or to_weight is None:
            continue
        weights = rows.new_tensor(-1.0) if gradient is None else -gradient[part, None].to(dtype)
        to_h[part] = torch.mm(products, columns).mul_(weights)
        _add_product(to_weight, products.t(), some * weights)
        if to_bias is not None:
            _add_product(to_bias[:, None], products.t(), weights.expand(len(some), 1))
    made = tuple(slope for slope in (to_h, to_weight, to_bias) if slope is not None)
    return result, made or None


def _score(logits: Tensor, targets: Tensor, out: Tensor, *, slopes: bool) -> None:
    """Log-likelihoods into `out`; logits [m, V] are overwritten, if wanted by the gradient of the
    negative log-likelihood, softmax - one-hot."""
    rows = max(1, _BLOCK // logits.shape[1]) if logits.device.type == "cpu" else len(logits)
    parts = (torch.split(tensor, rows) for tensor in (logits, targets[:, None], out[:, None]))
    for block, places, scores in zip(*parts, strict=True):
        wide = block.to(out.dtype)
        torch.log_softmax(wide, 1, out=wide)
        torch.gather(wide, 1, places, out=scores)
        if slopes:
            wide.exp_().scatter_add_(1, places, -torch.ones_like(scores))
            if wide.dtype != block.dtype:
                block.copy_(wide)


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    if left.dtype == total.dtype:
        total.addmm_(left, right)
    else:
        total.add_(torch.mm(left, right))


def _differentiable_slopes(
    h: Tensor, weight: Tensor, bias: Tensor | None, targets: Tensor, gradient: Tensor
) -> tuple[Tensor, ...]:
    """The gradients of h, weight and bias as functions of all that they depend on."""
    probabilities = torch.softmax(F.linear(h, weight, bias), 1)
    slopes = (F.one_hot(targets, len(weight)) - probabilities) * gradient[:, None]
    products = slopes @ weight, slopes.t() @ h
    return products if bias is None else (*products, slopes.sum(0))
