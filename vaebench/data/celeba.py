"""CelebA from its zip of jpg files to arrays, made once and from then on mapped into memory."""

import hashlib
import io
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from itertools import islice
from pathlib import Path
from typing import IO, NoReturn

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vaebench.data.archives import members
from vaebench.data.assets import Entry
from vaebench.data.checksums import check_file, expected_sha256, require_good
from vaebench.data.folder import fetch_command, stored_path
from vaebench.data.placing import Unusable, alone, sync_folder, write, writing
from vaebench.errors import UserError

Bytes = NDArray[np.uint8]
Progress = Callable[[int, int], None]

_SPLITS = ("train", "validation", "test")  # as the partition file numbers them
_STORED = (178, 218)
_CROP = (19, 39, 159, 179)  # the centre 140x140: left, upper, right, lower
_FOLDER = "img_align_celeba"
_HASHES = "sha256.json"
_BATCH = 512


def read(entry: Entry, folder: Path) -> dict[str, Bytes]:
    """The parts: images [N,3,64,64] and labels [N,A] of 0 and 1, mapped: read as they are used."""
    place = prepare(entry, folder)
    return {
        f"{split}-{what}": _mapped(place / f"{split}-{what}.npy", (size, *shape))
        for split, size in entry.splits.items()
        for what, shape in (("images", entry.shape), ("labels", (entry.attributes,)))
    }


def prepare(entry: Entry, folder: Path, progress: Progress | None = None) -> Path:
    """The folder with the arrays. Makes it if it is not there; `progress` hears of its bytes.

    Its name follows from the checksums of the files, which are read and checked only then.
    """
    place = arrays_path(entry, folder)
    if place.is_dir():
        return place
    with alone(place.parent, lambda: None):
        if not place.is_dir():  # another process may have made it meanwhile
            require_good(entry, folder)
            _make(entry, folder, place, progress or (lambda done, total: None))
    return place


def intact(place: Path) -> bool:
    """Whether the arrays are what they were when they were made; reads them all."""
    try:
        hashes = json.loads((place / _HASHES).read_text(encoding="ascii"))
        return bool(hashes) and all(_sha256(place / name) == hashes[name] for name in hashes)
    except (OSError, ValueError, TypeError):
        return False


def discard(place: Path) -> None:
    """Remove the arrays; the next to need them makes them anew."""
    with writing(place.parent):
        shutil.rmtree(place)


def arrays_path(entry: Entry, folder: Path) -> Path:
    """Where the arrays lie that are made of these very files."""
    known = {
        file.name: expected_sha256(entry, file, folder) or check_file(entry, file, folder).found
        for file in entry.files
    }
    digest = hashlib.sha256(json.dumps([_CROP, known], sort_keys=True).encode()).hexdigest()
    _, height, width = entry.shape
    return folder / entry.name / "cache" / f"{height}x{width}-{digest[:12]}"


def small(jpg: bytes, side: int) -> Bytes:
    """The centre of a picture, [3,side,side]: 140x140, resized bilinearly with antialiasing."""
    with Image.open(io.BytesIO(jpg), formats=("JPEG",)) as image:
        if image.size != _STORED:
            raise ValueError(f"expected {_times(_STORED)} pixels, found {_times(image.size)}")
        centre = image.convert("RGB").crop(_CROP)
        resized = centre.resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(resized).transpose(2, 0, 1)


def _make(entry: Entry, folder: Path, place: Path, progress: Progress) -> None:
    """Write the arrays beside their place and put them there as a whole."""
    names = _partition(entry, folder)
    labels = _labels(entry, folder, names)
    new = place.with_name(f"{place.name}.new")
    with writing(place.parent):
        try:
            shutil.rmtree(new, ignore_errors=True)
            new.mkdir()
            for split, rows in labels.items():
                np.save(new / f"{split}-labels.npy", rows, allow_pickle=False)
            _write_images(entry, folder, names, new, progress)
            hashes = {}
            for path in sorted(new.iterdir()):
                with path.open("rb") as stream:
                    os.fsync(stream.fileno())
                hashes[path.name] = _sha256(path)
            write(new / _HASHES, [json.dumps(hashes, indent=1).encode()])
            new.replace(place)
            sync_folder(place.parent)
        except BaseException:
            shutil.rmtree(new, ignore_errors=True)
            raise


def _write_images(
    entry: Entry,
    folder: Path,
    names: Mapping[str, list[str]],
    new: Path,
    progress: Progress,
) -> None:
    path = stored_path(entry, entry.file("images"), folder)
    size = math.prod(entry.shape)
    done, total = 0, size * sum(len(found) for found in names.values())
    progress(done, total)

    def shrink(member: tuple[str, bytes]) -> tuple[str, bytes]:
        try:
            return member[0], small(member[1], entry.shape[-1]).tobytes()
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise Unusable(f"its {member[0]} is no picture of CelebA ({error})") from error

    with ExitStack() as stack:
        # Written, not mapped: a full disk is then an error like any other.
        places: dict[str, tuple[IO[bytes], int]] = {}
        for split, found in names.items():
            stream = stack.enter_context((new / f"{split}-images.npy").open("wb"))
            shape = (len(found), *entry.shape)
            header = {"descr": "|u1", "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_1_0(stream, header)
            start = stream.tell()
            for row, name in enumerate(found):
                places[f"{_FOLDER}/{name}"] = (stream, start + row * size)
        pool = stack.enter_context(ThreadPoolExecutor(os.cpu_count()))  # PIL frees the lock
        try:
            with closing(members(path, places)) as entries:
                whole = ((name, b"".join(chunks)) for name, chunks in entries)
                while batch := list(islice(whole, _BATCH)):
                    for name, image in pool.map(shrink, batch):
                        written, place = places[name]
                        written.seek(place)
                        written.write(image)
                        done += size
                    progress(done, total)
        except Unusable as error:
            _refuse(entry, folder, path, str(error))


def _partition(entry: Entry, folder: Path) -> dict[str, list[str]]:
    """The images' names by split, in the order of the file `NAME.jpg 0|1|2`."""
    path = stored_path(entry, entry.file("partition"), folder)
    names: dict[str, list[str]] = {split: [] for split in _SPLITS}
    for number, fields in _lines(entry, path, folder):
        if len(fields) != 2 or fields[1] not in ("0", "1", "2"):
            _refuse(entry, folder, path, f"line {number}: expected a name and 0, 1 or 2")
        names[_SPLITS[int(fields[1])]].append(fields[0])
    found = {split: len(names[split]) for split in _SPLITS}
    if not any(found.values()):
        _refuse(entry, folder, path, "names no image")
    if found != dict(entry.splits):
        _refuse(entry, folder, path, f"expected {_told(entry.splits)}, found {_told(found)}")
    if len({name for split in names.values() for name in split}) != sum(found.values()):
        _refuse(entry, folder, path, "names an image twice")
    return names


def _labels(entry: Entry, folder: Path, names: Mapping[str, list[str]]) -> dict[str, Bytes]:
    """The attributes by split [N,A], 0 for -1, of a file of a count, their names, and the rows."""
    path = stored_path(entry, entry.file("attributes"), folder)
    rows: dict[str, bytes] = {}
    for number, fields in _lines(entry, path, folder):
        if number > 2:
            values = fields[1:]
            if len(values) != entry.attributes or not {"1", "-1"}.issuperset(values):
                told = f"line {number}: expected a name and {entry.attributes} times 1 or -1"
                _refuse(entry, folder, path, told)
            rows[fields[0]] = bytes(value == "1" for value in values)
        elif number == 2 and len(fields) != entry.attributes:
            told = f"expected {entry.attributes} attributes, found {len(fields)}"
            _refuse(entry, folder, path, told)
    labels = {}
    for split, found in names.items():
        for name in found:
            if name not in rows:
                _refuse(entry, folder, path, f"has no line for {name}")
        joined = b"".join(rows[name] for name in found)
        labels[split] = np.frombuffer(joined, np.uint8).reshape(len(found), entry.attributes)
    return labels


def _lines(entry: Entry, path: Path, folder: Path) -> Iterator[tuple[int, list[str]]]:
    """The lines that are not blank, each by its number and fields."""
    try:
        with path.open(encoding="ascii") as stream:
            for number, line in enumerate(stream, 1):
                if fields := line.split():
                    yield number, fields
    except UnicodeDecodeError:
        _refuse(entry, folder, path, "is no text file")
    except OSError as error:
        _refuse(entry, folder, path, f"cannot be read ({error.strerror})")


def _mapped(path: Path, shape: tuple[int, ...]) -> Bytes:
    """An array on disk that reads like one in memory; what is written to it stays in memory."""
    mend = f"delete {path.parent}, and it is made again"
    try:
        array: Bytes = np.load(path, mmap_mode="c", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(f"{path}: cannot be read ({error}); {mend}") from error
    if array.shape != shape or array.dtype != np.uint8:
        found = f"{_times(array.shape)} of {array.dtype}"
        raise UserError(f"{path}: expected {_times(shape)} of uint8, found {found}; {mend}")
    return array


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _refuse(entry: Entry, folder: Path, path: Path, why: str) -> NoReturn:
    raise UserError(f"{path}: {why}; `{fetch_command(entry, folder)}` fetches it again")


def _told(sizes: Mapping[str, int]) -> str:
    return ", ".join(f"{size:,} {split}" for split, size in sizes.items())


def _times(sizes: tuple[int, ...]) -> str:
    return "x".join(map(str, sizes))
