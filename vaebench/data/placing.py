"""Putting a file into the data folder: unpacked, checked, and there as a whole or not at all."""

import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile

from filelock import FileLock, Timeout

from vaebench.data.assets import Asset, StoredFile
from vaebench.data.checksums import RECORD, expected_sha256, named_sha256, recorded
from vaebench.data.folder import stored_path
from vaebench.errors import UserError

GZIP = b"\x1f\x8b"
CHUNK = 1 << 20
_UNKNOWN_SIZE = 1 << 33  # the most that a file may unpack to if the catalogue has no size of it


class Unusable(Exception):
    """A source that cannot give the bytes we want, and why."""


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Says plainly that the data folder cannot be written (read-only, full, not a folder)."""
    try:
        yield
    except OSError as error:
        raise UserError(
            f"{folder}: cannot be written ({error.strerror or error}); "
            "name another folder with --data-dir DIR or VAEBENCH_DATA"
        ) from error


@contextmanager
def alone(folder: Path, waiting: Callable[[], None]) -> Iterator[None]:
    """Makes the folder and keeps others out who ask; `waiting` hears that there is one before."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=folder).close()  # a lock on a read-only folder would wait for ever
        lock = FileLock(folder / ".lock")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            waiting()
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


def place(source: Path, entry: Asset, file: StoredFile, folder: Path) -> None:
    """Unpack `source` (gzip or plain) to the file's place; Unusable if the bytes are not right."""
    place_bytes(_unpacked(source), entry, file, folder)


def place_bytes(chunks: Iterable[bytes], entry: Asset, file: StoredFile, folder: Path) -> None:
    """Write a file's bytes to its place, never more than its size; Unusable if they are not right.

    Of a file that is a beginning there may be more bytes. What a file of unknown checksum holds is
    recorded, so that it is the same ever after.
    """
    path = stored_path(entry, file, folder)
    expected = expected_sha256(entry, file, folder)
    digest = hashlib.sha256()

    def checked() -> Iterator[bytes]:
        given = chunks
        if file.beginning and file.size is not None:
            given = _first(chunks, file.size)
        for chunk in _measured(given, file.size):
            digest.update(chunk)
            yield chunk
        if expected not in (None, digest.hexdigest()):
            raise Unusable(f"expected {named_sha256(file, expected)}, found {digest.hexdigest()}")

    write(path, checked())
    record(entry, file, folder, digest.hexdigest())


def record(entry: Asset, file: StoredFile, folder: Path, sha256: str) -> None:
    """Write down the checksum of a file that has no published one, unless it is known already."""
    known = recorded(entry, folder)
    if file.sha256 is None and file.name not in known:
        text = json.dumps({**known, file.name: sha256}, indent=1, sort_keys=True) + "\n"
        write(folder / entry.name / RECORD, [text.encode()])


def write(path: Path, chunks: Iterable[bytes]) -> None:
    """Write a file so that at any moment there is the old one or the new one, never a torn one."""
    new = path.with_name(path.name + ".new")
    with writing(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with new.open("wb") as stream:
                for chunk in chunks:
                    stream.write(chunk)
                stream.flush()
                os.fsync(stream.fileno())
            new.replace(path)
            sync_folder(path.parent)
        except BaseException:
            new.unlink(missing_ok=True)
            raise


def begins(path: Path, magic: bytes) -> bool:
    """Whether a file begins with these bytes; Unusable if it cannot be read."""
    try:
        with path.open("rb") as raw:
            return raw.read(len(magic)) == magic
    except OSError as error:
        raise Unusable(f"cannot be read ({error.strerror})") from error


def _unpacked(source: Path) -> Iterator[bytes]:
    """The decompressed bytes of a file."""
    try:
        with gzip.open(source) if begins(source, GZIP) else source.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                yield chunk
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise Unusable(f"corrupt gzip file ({error})") from error
    except OSError as error:
        raise Unusable(f"cannot be read ({error.strerror})") from error


def _first(chunks: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The first `size` bytes."""
    for chunk in chunks:
        yield chunk[:size]
        size -= len(chunk)
        if size <= 0:
            return


def _measured(chunks: Iterable[bytes], size: int | None) -> Iterator[bytes]:
    """The same bytes, never more than `size`; Unusable if they are not `size`."""
    total = 0
    for chunk in chunks:
        total += len(chunk)
        if size is not None and total > size:
            raise Unusable(f"expected {size} bytes, found more")
        if total > _UNKNOWN_SIZE and size is None:
            raise Unusable(f"found more than {_UNKNOWN_SIZE} bytes, and its size is not known")
        yield chunk
    if size is not None and total < size:
        raise Unusable(f"expected {size} bytes, found {total} (cut short)")


def sync_folder(folder: Path) -> None:
    """Make a rename in this folder outlast a power cut, where the system can."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:  # some network file systems do not sync folders
        pass
    finally:
        os.close(descriptor)
