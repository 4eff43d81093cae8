"""Flows turned round one dimension at a time: slow, and independent of how they are computed."""

import torch
from torch import Tensor

from vaebench.models.flows import InverseAutoregressiveFlow


def small_flow(latent: int, context: int, hidden: int = 24, seed: int = 0):
    """A flow in double precision that is far from the identity."""
    torch.manual_seed(seed)
    flow = InverseAutoregressiveFlow(latent, context=context, hidden=hidden).double()
    with torch.no_grad():
        for name, parameter in flow.named_parameters():
            if name.endswith("gate_bias"):
                parameter.copy_(torch.randn(latent))
            else:
                parameter.mul_(2)
    return flow


def inverted(flow: InverseAutoregressiveFlow, z: Tensor, context: Tensor) -> Tensor:
    """z_0 [..., K] of z_T: each dimension after those that its mean and its gate depend on."""
    for block in reversed(flow.blocks):
        z, latent = z.flip(-1), z.shape[-1]
        found: list[Tensor] = []
        for d in range(latent):
            before = torch.stack([*found, *(torch.zeros_like(z[..., 0]),) * (latent - d)], -1)
            outputs = block.made(before, context)
            gate = torch.sigmoid(outputs[..., latent + d] + block.gate_bias[d])
            found.append((z[..., d] - (1 - gate) * outputs[..., d]) / gate)
        z = torch.stack(found, -1)
    return z
