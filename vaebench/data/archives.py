"""Reading members of zip and tar files: their bytes alone, nothing by the names in there."""

import gzip
import stat
import struct
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, cast

from vaebench.data.placing import CHUNK, GZIP, Unusable, begins

# More entries, or more unpacked bytes, than any data set has: such a tar file is made to harm.
_ENTRIES = 1 << 20
_UNPACKED = 1 << 36
# What the readers of the standard library raise on bytes that are wrong somewhere.
_TORN = (
    EOFError,
    zlib.error,
    gzip.BadGzipFile,
    tarfile.TarError,
    zipfile.BadZipFile,
    struct.error,
    ValueError,
    ArithmeticError,
    RuntimeError,
)

Members = Generator[tuple[str, Iterator[bytes]], None, None]


def members(path: Path, wanted: Collection[str]) -> Members:
    """The wanted members of a zip, tar or tar.gz file as streams of bytes, in the file's order.

    Each is to be read before the next. Unusable, before the first, unless every one of them is
    there once, a regular file and not encrypted; and wherever the file turns out to be torn.
    """
    read = _zip_members if begins(path, b"PK") else _tar_members
    return read(path, frozenset(wanted))


def _zip_members(path: Path, wanted: frozenset[str]) -> Members:
    with _reading("zip file"), zipfile.ZipFile(path) as archive:
        entries = archive.infolist()
        _each_once(wanted, (_plain(entry.filename) for entry in entries))
        chosen = [entry for entry in entries if _plain(entry.filename) in wanted]
        for entry in chosen:
            _judge_zip(entry)
        for entry in chosen:
            yield _plain(entry.filename), _stream(partial(archive.open, entry), "zip file")


def _judge_zip(entry: zipfile.ZipInfo) -> None:
    name, mode = _plain(entry.filename), entry.external_attr >> 16
    if entry.is_dir() or stat.S_IFMT(mode) not in (0, stat.S_IFREG):
        raise Unusable(f"its {name} is a link or a folder, not a file")
    if entry.flag_bits & 0x1:
        raise Unusable(f"its {name} is encrypted")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise Unusable(f"its {name} is compressed in a way that is not known here; unzip it")


def _tar_members(path: Path, wanted: frozenset[str]) -> Members:
    packed = begins(path, GZIP)
    kind = "tar.gz file" if packed else "zip or tar file"
    with (
        _reading(kind),
        cast(IO[bytes], gzip.open(path) if packed else path.open("rb")) as stream,
        tarfile.open(fileobj=cast(IO[bytes], _Careful(stream)), mode="r:") as archive,
    ):
        found = _scan(archive, wanted)
        _to_the_end(stream)
        _each_once(wanted, (_plain(entry.name) for entry in found))
        for entry in found:
            if not entry.isreg() or entry.issparse():
                raise Unusable(f"its {_plain(entry.name)} is a link or a folder, not a file")
        for entry in found:
            yield _plain(entry.name), _stream(partial(archive.extractfile, entry), kind)


class _Careful:
    """A file as tarfile reads it, but not into memory as much as a header claims to need."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.seek = stream.seek
        self.tell = stream.tell

    def read(self, size: int) -> bytes:
        if not 0 <= size <= CHUNK:
            raise Unusable("corrupt tar file (a header of impossible size)")
        return self._stream.read(size)


def _scan(archive: tarfile.TarFile, wanted: frozenset[str]) -> list[tarfile.TarInfo]:
    """All entries of wanted names. Whatever the headers claim, it comes to an end."""
    found, end = [], -1
    for count, entry in enumerate(iter(archive.next, None)):
        if archive.offset <= end or count > _ENTRIES or archive.offset > _UNPACKED:
            raise Unusable("corrupt tar file (it has no end)")
        end = archive.offset
        if _plain(entry.name) in wanted:
            found.append(entry)
    return found


def _to_the_end(stream: IO[bytes]) -> None:
    """Read what follows the last entry: at its end a gzip file holds a checksum of all."""
    while stream.read(CHUNK):
        if stream.tell() > _UNPACKED:
            raise Unusable("corrupt tar file (it has no end)")


def _each_once(wanted: frozenset[str], names: Iterable[str]) -> None:
    counts = Counter(name for name in names if name in wanted)
    for name in sorted(wanted):
        if counts[name] != 1:
            times = f"{name} {counts[name]} times" if counts[name] else f"no {name}"
            raise Unusable(f"holds {times}")


def _stream(opener: Callable[[], IO[bytes] | None], kind: str) -> Iterator[bytes]:
    with _reading(kind):
        opened = opener()
        assert opened is not None  # tarfile has none for entries that are no files
        with opened as stream:
            while chunk := stream.read(CHUNK):
                yield chunk


def _plain(name: str) -> str:
    """A member's name without the `./` that `tar -c .` puts before it."""
    return name.removeprefix("./")


@contextmanager
def _reading(kind: str) -> Iterator[None]:
    try:
        yield
    except _TORN as error:
        raise Unusable(f"corrupt {kind} ({error})") from error
    except OSError as error:
        raise Unusable(f"cannot be read ({error.strerror or error})") from error
