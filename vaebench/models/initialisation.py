"""How Keras initialises what torch initialises otherwise."""

import math

import torch
from torch import Tensor, nn

from vaebench.models.latent import glorot_uniform
from vaebench.models.recurrence import Lstm

_LEFT = 0.87962566103423978  # the deviation of N(0, 1) cut off at two deviations
_EMBEDDING = 0.05


def truncated_normal(values: Tensor, deviation: float) -> Tensor:
    """Draw from a centred Gaussian that is cut off at two deviations and then has `deviation`."""
    before = deviation / _LEFT
    return nn.init.trunc_normal_(values, std=before, a=-2 * before, b=2 * before)


def keras(module: nn.Module) -> nn.Module:
    """Keras' defaults, and LeCun's normal kernels in LSTMs (IGP's code).

    Linear layers: Glorot uniform. Embeddings: uniform in [-0.05, 0.05]. LSTMs of one bias a gate:
    kernels of variance 1 / fan-in. Biases are zero, but one for the gate that keeps.
    """
    glorot_uniform(module)
    for layer in module.modules():
        if isinstance(layer, nn.Embedding):
            nn.init.uniform_(layer.weight, -_EMBEDDING, _EMBEDDING)
        elif isinstance(layer, Lstm):
            _lecun_normal(layer)
    return module


@torch.no_grad()
def _lecun_normal(lstm: Lstm) -> None:
    if not lstm.one_bias:
        raise ValueError("an LSTM of Keras has one bias a gate")
    for kernel in lstm.weights[:2]:
        truncated_normal(kernel, 1 / math.sqrt(kernel.shape[1]))
    bias = lstm.layer.get_parameter("bias_ih_l0").zero_()
    _, keep, _, _ = bias.chunk(4)
    keep.fill_(1.0)
