"""What a model asks of its four parts. Each is an nn.Module, so that its parameters are found."""

from collections.abc import Iterator
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from vaebench.models.posteriors import Posterior


class Part(Protocol):
    """What nn.Module gives to every part."""

    def parameters(self, recurse: bool = True) -> Iterator[nn.Parameter]: ...


@runtime_checkable
class Constrained(Protocol):
    """A module whose parameters lie on a constraint."""

    def rescale(self) -> None:
        """Move them back to it, after an update."""
        ...


class Encoder(Part, Protocol):
    """x -> features h."""

    def __call__(self, x: Tensor, /) -> Tensor:
        """[B, *shape] -> [B, H]."""
        ...


class PosteriorHead(Part, Protocol):
    """Features -> q(z|x)."""

    def __call__(self, h: Tensor, /) -> Posterior:
        """From h [B, H]."""
        ...


class Prior(Part, Protocol):
    """p(z)."""

    def log_prob(self, z: Tensor) -> Tensor:
        """log p(z) in nats: [..., K] -> [...]."""
        ...

    def log_prob_by_dimension(self, z: Tensor) -> Tensor:
        """Its summands where p(z) is a product over dimensions, else TypeError: [..., K]."""
        ...

    def sample(self, count: int, device: torch.device) -> Tensor:
        """Draws [count, K]."""
        ...


class Decoder(Part, Protocol):
    """p(x|z)."""

    @property
    def constant_variance(self) -> Tensor | None:
        """The one variance of a Gaussian of all pixels and data, a scalar; None for any other."""
        ...

    def log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z) in nats: x [B, *shape], z [S, B, K] -> [S, B]."""
        ...

    def mean(self, z: Tensor) -> Tensor:
        """E[x|z]: [..., K] -> [..., *shape]."""
        ...

    def sample(self, z: Tensor) -> Tensor:
        """Draws from p(x|z): [..., K] -> [..., *shape]."""
        ...
