"""One spelling for each value, and its hash."""

import hashlib
import json
from typing import Any

Plain = bool | int | float | str | None | list["Plain"] | dict[str, "Plain"]


def canonical(value: Any) -> str:
    """JSON with one spelling for each value: sorted keys, no spaces, `1.0` written `1`."""
    return json.dumps(_plain(value), sort_keys=True, separators=(",", ":"), allow_nan=False)


def digest(value: Any, length: int = 12) -> str:
    """The first `length` hexadecimal digits of the BLAKE2b hash of the canonical JSON."""
    return hashlib.blake2b(canonical(value).encode(), digest_size=16).hexdigest()[:length]


def _plain(value: Any) -> Plain:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{type(value).__name__} has no place in an identity")
