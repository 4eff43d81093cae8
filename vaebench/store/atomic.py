"""Atomic files: a kill at any instant leaves the old file or the new one."""

import json
import os
import secrets
from pathlib import Path
from typing import Any

_unfinished: set[Path] = set()


def write_bytes(path: Path, data: bytes | memoryview) -> None:
    """Write beside `path`, flush to the disk, and put it in place."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # The name is known before there is a file: Ctrl-C may come as soon as there is one.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    _unfinished.add(temporary)
    try:
        with temporary.open("xb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    finally:
        _unfinished.discard(temporary)


def abandon() -> None:
    """Remove what is half written, in a process that ends without going on."""
    for temporary in tuple(_unfinished):
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text atomically."""
    write_bytes(path, text.encode())


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON atomically; no NaN."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
