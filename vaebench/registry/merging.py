"""Parts of a spec laid over one another."""

from collections.abc import Mapping
from typing import Any


def merge(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with the values of `overlay` laid over it, mapping by mapping.

    What has another `name`, such as another schedule, is another thing and takes nothing over.
    """
    result = dict(base)
    for key, value in overlay.items():
        below = result.get(key)
        if isinstance(value, Mapping) and isinstance(below, Mapping) and _alike(below, value):
            result[key] = merge(below, value)
        else:
            result[key] = value
    return result


def _alike(base: Mapping[str, Any], overlay: Mapping[str, Any]) -> bool:
    return "name" not in base or overlay.get("name", base["name"]) == base["name"]
