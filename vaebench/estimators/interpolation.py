"""Paths between latent codes."""

import torch
from torch import Tensor

# Below this sine of the angle the great circle is a straight line (or, between opposite codes, not
# defined), and dividing by it would only magnify rounding.
_SMALLEST_SINE = 1e-6


def slerp(one: Tensor, other: Tensor, t: Tensor) -> Tensor:
    """Spherical interpolation of codes [N, K] at t [N] in [0, 1] -> [N, K].

    sin((1-t)w)/sin w * one + sin(tw)/sin w * other, w the angle between the two, which keep their
    norms (Shoemake, 1985; as in RAE, Ghosh et al., 2020). Linear where they are parallel.
    """
    a, b, t = one.double(), other.double(), t.double().unsqueeze(-1)
    norms = (a.norm(dim=-1, keepdim=True) * b.norm(dim=-1, keepdim=True)).clamp_min(1e-300)
    angle = torch.arccos(((a * b).sum(-1, keepdim=True) / norms).clamp(-1, 1))
    sine = torch.sin(angle)
    linear = sine < _SMALLEST_SINE
    sine = torch.where(linear, torch.ones_like(sine), sine)
    first = torch.where(linear, 1 - t, torch.sin((1 - t) * angle) / sine)
    second = torch.where(linear, t, torch.sin(t * angle) / sine)
    return (first * a + second * b).to(one.dtype)
