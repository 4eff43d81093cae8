"""Atomic files: a kill at any instant leaves the old file or the new one."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any

_unfinished: set[str] = set()


def write_bytes(path: Path, data: bytes | memoryview) -> None:
    """Write beside `path`, flush to the disk, and put it in place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    _unfinished.add(temporary)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, 0o644)  # mkstemp makes it private  # noqa: PTH101
        os.replace(temporary, path)  # noqa: PTH105
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    finally:
        _unfinished.discard(temporary)


def abandon() -> None:
    """Remove what is half written, in a process that ends without going on."""
    for temporary in tuple(_unfinished):
        Path(temporary).unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON atomically; no NaN."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
