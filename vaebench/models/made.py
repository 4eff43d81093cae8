"""The masked autoencoder MADE (Germain et al., 2015) with a context at its first layer."""

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

Degrees = NDArray[np.int64]

_SEED = 0


class MADE(nn.Module):
    """Two masked hidden ReLU layers; output k of a dimension sees the dimensions before it.

    z [..., K], context [..., C] -> [..., outputs * K], the dimensions in order within each of the
    `outputs`. The very first dimension sees the context neither: nothing leads there but biases.
    """

    def __init__(self, latent: int, *, context: int, hidden: int, outputs: int) -> None:
        super().__init__()
        first, second = hidden_degrees(latent, hidden)
        every = np.arange(1, latent + 1)
        self.inputs = MaskedLinear(first[:, None] >= every)
        self.context = nn.Linear(context, hidden, bias=False)
        self.hidden = MaskedLinear(second[:, None] >= first)
        self.outputs = MaskedLinear(np.tile(every, outputs)[:, None] > second)

    def forward(self, z: Tensor, context: Tensor) -> Tensor:
        h = (self.inputs(z) + self.context(context)).relu()
        outputs: Tensor = self.outputs(self.hidden(h).relu())
        return outputs


class MaskedLinear(nn.Linear):
    """A linear map whose weights are zero where `mask` [outputs, inputs] is."""

    def __init__(self, mask: NDArray[np.bool_]) -> None:
        outputs, inputs = mask.shape
        super().__init__(inputs, outputs)
        self.mask = nn.Buffer(torch.from_numpy(mask).to(self.weight.dtype), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight * self.mask, self.bias)


def hidden_degrees(latent: int, hidden: int) -> tuple[Degrees, Degrees]:
    """How many dimensions the units of the two hidden layers see: uniform on 1 ... latent - 1.

    The first and the next draws of NumPy's MT19937 with seed 0, as in DU-VAE's code; NumPy keeps
    the stream of RandomState for ever, and its dtype makes it that of every platform.
    """
    if latent < 2:
        raise ValueError(f"latent is {latent}; an autoregressive map needs 2 dimensions")
    stream = np.random.RandomState(_SEED)
    first, second = (stream.randint(1, latent, hidden, dtype=np.int64) for _ in range(2))
    return first, second
