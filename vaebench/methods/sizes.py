"""What an argument `network` says: a kind and its sizes."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

_Network = TypeVar("_Network")
_SIZES = ("latent", "embedding", "hidden")


def scaled(size: int, width: float) -> int:
    """A layer of the paper at this width."""
    return max(1, round(size * width))


def check_sizes(network: object) -> None:
    """ValueError unless a network's `width`, if it has one, and its sizes can be."""
    width = getattr(network, "width", 1)
    if isinstance(width, bool) or not isinstance(width, int | float) or not 0 < width <= 16:
        raise ValueError(f"network.width is {width!r}; expected a factor above 0, at most 16")
    for name in _SIZES:
        size = getattr(network, name, 1)
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ValueError(f"network.{name} is {size!r}; expected a size from 1")


def of_kind(kinds: Mapping[str, Callable[..., _Network]], settings: Mapping[str, Any]) -> _Network:
    """The network of an argument `network`; ValueError or TypeError if there is none."""
    sizes = dict(settings)
    kind = str(sizes.pop("kind", ""))
    if kind not in kinds:
        raise ValueError(f"network.kind is {kind!r}; expected {' or '.join(kinds)}")
    return kinds[kind](**sizes)
