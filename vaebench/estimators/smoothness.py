"""How smooth a decoder is around a code: AR-ELBO, Section 3 and Appendix C.

Shapes: N codes, K latent size; a decoder maps [N, K] to [N, *shape]. Distances are sums over
pixels and channels, in squared pixel units.
"""

import warnings
from collections.abc import Callable

import torch
from torch import Tensor

Decode = Callable[[Tensor], Tensor]


def squared_jacobian_norms(decode: Decode, z: Tensor) -> Tensor:
    """||J(z_n)||_F^2 of a decoder that treats codes one by one: [N, K] -> [N].

    Exact, a forward-mode product for each of the K columns of J, all in one batch.
    """

    def column(direction: Tensor) -> Tensor:
        product = torch.func.jvp(decode, (z,), (direction.expand_as(z),))[1]
        squares: Tensor = product.flatten(1).square().sum(1)
        return squares

    directions = torch.eye(z.shape[1], dtype=z.dtype, device=z.device)
    with warnings.catch_warnings():  # torch's own, when it first loads what it derives by
        warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated", FutureWarning)
        norms: Tensor = torch.func.vmap(column)(directions)
    return norms.sum(0)


def squared_gaps(decode: Decode, means: Tensor, noise: Tensor, variance: float) -> Tensor:
    """||mu(m + s e) - mu(m + s e')||^2 for codes m [N, K], noise e, e' [2, N, K] -> [N].

    s^2 is `variance`; the mean over data and standard Gaussian noise is the gap of Eq. 5.
    """
    one, other = (decode(means + variance**0.5 * pair) for pair in noise)
    return (one - other).flatten(1).square().sum(1)
