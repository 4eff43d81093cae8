"""Masked kernels in full, and likelihoods of binary images, for second implementations."""

import torch
from torch import Tensor
from torch.nn import functional as F


def full_mask(kernel: int, centre: bool, channels: int, others: int = 0) -> Tensor:
    """The taps of a full kernel that are seen, [channels + others, kernel, kernel]; of the others
    all are."""
    mask = torch.ones(channels + others, kernel, kernel, dtype=torch.float64)
    for row in range(kernel):
        for column in range(kernel):
            offset = (row - kernel // 2) * kernel + column - kernel // 2
            if offset > 0 or (offset == 0 and not centre):
                mask[:channels, row, column] = 0
    return mask


def log_probs(logits: Tensor, x: Tensor) -> Tensor:
    """Of images [B, 1, H, W] under Bernoullis [S, B, 1, H, W], summed over pixels: [S, B]."""
    scores = -F.binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none")
    return scores.flatten(2).sum(2)
