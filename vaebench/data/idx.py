"""Reading idx files (the format of MNIST), plain or gzip-compressed, without trusting them."""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vaebench.errors import UserError

Bytes = NDArray[np.uint8]

_GZIP = b"\x1f\x8b"
_MEND = "delete it and fetch it again"


def read(path: Path, shape: tuple[int, ...], mend: str = _MEND) -> Bytes:
    """The array in an idx file that should hold bytes of this shape; `mend` ends an error."""
    return parse(content(path, shape, mend), path, shape, mend)


def content(path: Path, shape: tuple[int, ...], mend: str = _MEND) -> Bytes:
    """The file's decompressed bytes [M]; at most one more than `shape` needs are unpacked."""
    try:
        with path.open("rb") as raw:
            if raw.read(2) != _GZIP:
                return np.fromfile(path, dtype=np.uint8)
        with gzip.open(path) as unpacked:
            return np.frombuffer(unpacked.read(file_size(shape) + 1), np.uint8).copy()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise UserError(f"{path}: corrupt gzip file ({error}); {mend}") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); {mend}") from error


def parse(content: Bytes, path: Path, shape: tuple[int, ...], mend: str = _MEND) -> Bytes:
    """The array of this shape in the bytes of an idx file; `path` is only named in errors."""
    header = content[: _header_size(shape)].tobytes()
    expected = 0x800 + len(shape)  # two zero bytes, 8 for unsigned bytes, number of dimensions
    magic = int.from_bytes(header[:4], "big")
    if len(header) >= 4 and magic != expected:
        raise _unlike(
            path, f"magic {expected} (bytes in {len(shape)} dimensions)", str(magic), mend
        )
    sizes = tuple(int(size) for size in np.frombuffer(header[4 : len(header) // 4 * 4], ">u4"))
    if len(sizes) == len(shape) and sizes != shape:
        raise _unlike(path, _times(shape), _times(sizes), mend)
    if len(content) != file_size(shape):
        state = "cut short" if len(content) < file_size(shape) else "more than it should hold"
        raise _unlike(path, f"{file_size(shape)} bytes", f"{len(content)} ({state})", mend)
    return content[len(header) :].reshape(shape)


def file_size(shape: tuple[int, ...]) -> int:
    """Bytes of an idx file that holds unsigned bytes of this shape."""
    return _header_size(shape) + math.prod(shape)


def _header_size(shape: tuple[int, ...]) -> int:
    return 4 + 4 * len(shape)


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(str(size) for size in shape)


def _unlike(path: Path, expected: str, found: str, mend: str) -> UserError:
    return UserError(f"{path}: expected {expected}, found {found}; {mend}")
