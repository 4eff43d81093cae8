"""Importance-weighted bounds over k samples (Burda, Grosse & Salakhutdinov, 2016)."""

import math

import torch
from torch import Tensor


def importance_bound(log_weights: Tensor) -> Tensor:
    """log (1/k) sum_k exp(log_weights): [k, B] -> [B], in nats; Eq. 8 of the IWAE paper."""
    return torch.logsumexp(log_weights, dim=0) - math.log(log_weights.shape[0])


def normalised_weights(log_weights: Tensor) -> Tensor:
    """The weights that sum to one over the samples, without gradient: [k, B] -> [k, B]."""
    return torch.softmax(log_weights.detach(), dim=0)
