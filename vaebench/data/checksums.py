"""Whether the files in the data folder are the right ones."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vaebench.data.assets import Asset, StoredFile
from vaebench.data.folder import fetch_command, stored_path
from vaebench.errors import UserError

RECORD = "checksums.json"


@dataclass(frozen=True)
class FileState:
    """What a check found. `unverified`: there is no published checksum to hold it against."""

    file: StoredFile
    path: Path
    status: Literal["ok", "unverified", "missing", "wrong"]
    expected: str | None = None
    found: str | None = None

    @property
    def good(self) -> bool:
        """Whether the file can be used."""
        return self.status in ("ok", "unverified")


def check(entry: Asset, folder: Path) -> list[FileState]:
    """Read every file of a data set and say how it stands."""
    return [check_file(entry, file, folder) for file in entry.files]


def check_file(entry: Asset, file: StoredFile, folder: Path) -> FileState:
    """Read one file and hold it against its published, else its recorded checksum."""
    path = stored_path(entry, file, folder)
    expected = expected_sha256(entry, file, folder)
    if not path.is_file():
        return FileState(file, path, "missing", expected)
    size = path.stat().st_size
    if file.size not in (None, size):
        return FileState(file, path, "wrong", f"{file.size} bytes", f"{size} bytes")
    try:
        with path.open("rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    if expected not in (None, found):
        return FileState(file, path, "wrong", named_sha256(file, expected), f"sha256 {found}")
    return FileState(file, path, "ok" if file.sha256 else "unverified", expected, found)


def require_good(entry: Asset, folder: Path) -> None:
    """Read every file of a data set; a UserError with the way out if one cannot be used."""
    for state in check(entry, folder):
        if not state.good:
            told = f"expected {state.expected}, found {state.found or 'nothing'}"
            mend = f"`{fetch_command(entry, folder)}` fetches it again"
            raise UserError(f"{state.path}: {told}; {mend}")


def present(entry: Asset, folder: Path) -> int:
    """How many files of a data set are there, by name alone (quick: nothing is read)."""
    return sum(stored_path(entry, file, folder).is_file() for file in entry.files)


def expected_sha256(entry: Asset, file: StoredFile, folder: Path) -> str | None:
    """The published checksum, else the one recorded on first use, else None."""
    return file.sha256 or recorded(entry, folder).get(file.name)


def named_sha256(file: StoredFile, expected: str | None) -> str:
    """An expected checksum with its authority, for messages."""
    source = "" if file.sha256 else f" (recorded on first use in {RECORD})"
    return f"sha256 {expected}{source}"


def recorded(entry: Asset, folder: Path) -> dict[str, str]:
    """The checksums that were written down when files of unknown checksum first came in."""
    return recorded_in(folder / entry.name / RECORD)


def recorded_in(path: Path) -> dict[str, str]:
    """Checksums by name, as they stand in a file of them; none if it is not there."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return {str(name): str(sha256) for name, sha256 in record.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError) as error:
        raise UserError(f"{path}: cannot be read ({error}); delete it") from error
