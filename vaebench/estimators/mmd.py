"""The maximum mean discrepancy between two samples."""

from collections.abc import Sequence

import torch
from torch import Tensor


def imq_mmd(first: Tensor, second: Tensor, constants: Sequence[float]) -> Tensor:
    """The squared MMD of two samples [n, K] under sum_C C / (C + ||a - b||^2), a scalar.

    The unbiased form, which may be negative: pairs of a sample with itself are left out. WAE
    (Tolstikhin et al., 2018), Algorithm 2 and Section 4.
    """
    n = len(first)
    if n != len(second) or n < 2:
        raise ValueError(f"MMD needs samples of one size from 2, not {n} and {len(second)}")
    both = torch.cat([first, second])
    squares = both.square().sum(1)
    distances = (squares.unsqueeze(1) + squares - 2 * both @ both.t()).clamp_min(0)
    kernel = sum((c / (c + distances) for c in constants), torch.zeros_like(distances))
    within = kernel[:n, :n].sum() + kernel[n:, n:].sum() - kernel.diagonal().sum()
    return within / (n * (n - 1)) - 2 * kernel[:n, n:].mean()
