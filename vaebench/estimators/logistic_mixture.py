"""The discretised mixture of logistics of PixelCNN++ (Salimans et al., 2017), Eqs. 1 to 3: of each
pixel three colours, of which each takes the 256 values of a byte, spread evenly over [-1, 1].

A pixel has M components, a joint choice for its colours, and so 10 M parameters, one after another:
logits [M], means [M, 3], log scales [M, 3], held above -7, and coefficients [M, 3] before a tanh.
The mean of green moves with red, that of blue with red and green.

A value has the mass between the middles to its neighbours, the first and the last all that lies
beyond. The authors' code takes density times width for any mass below 1e-5; here it is exact, so
that the masses of a colour have the sum one.
"""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

PARAMETERS = 10  # of a component

_LEAST_LOG_SCALE = -7.0
_HALF_STEP = 1 / 255  # between two values


class _Mixture(NamedTuple):
    """Logits of components, and of every component and colour its mean, before other colours move
    it, log scale and coefficient."""

    logits: Tensor
    means: Tensor
    log_scales: Tensor
    coefficients: Tensor


def log_likelihood(parameters: Tensor, x: Tensor) -> Tensor:
    """log p(x) in nats, summed over pixels: parameters [..., 10 M, H, W], x [..., 3, H, W] ->
    [...]."""
    mixture = _mixture(parameters, -3)
    x = x.unsqueeze(-4)  # one for all components
    means = torch.stack(_moved(mixture.means, mixture.coefficients, x, -3), -3)
    per_unit = torch.exp(-mixture.log_scales)
    distance, half = (x - means) * per_unit, _HALF_STEP * per_unit
    # With a and b the ends of a step, s(a) - s(b) = s(a) s(-b) (1 - e^(b - a)), s the sigmoid.
    first, last = x < -1 + _HALF_STEP, x > 1 - _HALF_STEP
    below = torch.where(last, 0.0, F.logsigmoid(half + distance))
    above = torch.where(first, 0.0, F.logsigmoid(half - distance))
    within = torch.where(first | last, 0.0, torch.log(-torch.expm1(-2 * half)))
    colours = (below + above + within).sum(-3)
    return torch.logsumexp(mixture.logits.log_softmax(-3) + colours, -3).sum((-2, -1))


def sample(parameters: Tensor) -> Tensor:
    """Colours of pixels drawn from their mixtures: [..., 10 M] -> [..., 3], on the 256 values."""
    mixture = _mixture(parameters, -1)
    weights = mixture.logits.softmax(-1)
    drawn = torch.multinomial(weights.flatten(0, -2), 1).view(weights.shape[:-1])
    means, log_scales, coefficients = _component(mixture, drawn)
    deviations = torch.exp(log_scales) * torch.rand_like(means).logit()
    return _one_after_another(means + deviations, coefficients)


def most_likely(parameters: Tensor) -> Tensor:
    """The mean of the component of the largest weight: [..., 10 M] -> [..., 3], the nearest of the
    256 values."""
    mixture = _mixture(parameters, -1)
    means, _, coefficients = _component(mixture, mixture.logits.argmax(-1))
    return _one_after_another(means, coefficients)


def _mixture(parameters: Tensor, dim: int) -> _Mixture:
    """The parameters along `dim`, a negative one; colours are a dimension after components."""
    count = parameters.shape[dim] // PARAMETERS
    logits, *others = torch.split(parameters, [count, *3 * [3 * count]], dim)
    means, log_scales, coefficients = (torch.unflatten(part, dim, (count, 3)) for part in others)
    log_scales = log_scales.clamp_min(_LEAST_LOG_SCALE)
    return _Mixture(logits, means, log_scales, coefficients.tanh())


def _component(mixture: _Mixture, index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Means, log scales and coefficients [..., 3] of a component each, index [...]."""
    index = index[..., None, None].expand(*index.shape, 1, 3)
    means, log_scales, coefficients = (part.gather(-2, index).squeeze(-2) for part in mixture[1:])
    return means, log_scales, coefficients


def _moved(means: Tensor, coefficients: Tensor, x: Tensor, dim: int) -> list[Tensor]:
    """The means of red, green and blue, given the colours of x before them."""
    (red, green, blue), (first, second, third) = means.unbind(dim), coefficients.unbind(dim)
    x_red, x_green, _ = x.unbind(dim)
    return [red, green + first * x_red, blue + second * x_red + third * x_green]


def _one_after_another(values: Tensor, coefficients: Tensor) -> Tensor:
    """[..., 3] -> [..., 3]: each colour as one of the 256 values, those after it moved by it."""
    x = torch.zeros_like(values)
    for colour in range(3):
        moved = _moved(values, coefficients, x, -1)[colour].clamp(-1, 1)
        x[..., colour] = (255 * (moved + 1) / 2).round() * 2 / 255 - 1
    return x
