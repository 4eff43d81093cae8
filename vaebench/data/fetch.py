"""Filling the data folder, from mirrors or from files the user has. Only this uses the network."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

from filelock import FileLock, Timeout

from vaebench.data.catalog import Entry, StoredFile
from vaebench.data.checksums import FileState, check, check_file
from vaebench.data.download import Patience, discard, download, origin
from vaebench.data.folder import fetch_command, stored_path
from vaebench.data.placing import Unusable, place, record, writing
from vaebench.errors import UserError


class DownloadFailed(Exception):
    """No mirror gave a file; the message tells each one's reason and another way."""


@dataclass(frozen=True)
class Attempt:
    """A mirror that was tried in vain."""

    url: str
    reason: str


class Watcher:
    """Hears what happens while data comes in; this one does nothing."""

    def waiting(self, entry: Entry) -> None:
        """Another process is at this data set."""

    def started(self, file: StoredFile, url: str) -> None:
        """A mirror is being asked."""

    def progress(self, file: StoredFile, done: int, total: int | None) -> None:
        """Bytes that have come and, if the mirror says, bytes in all."""

    def failed(self, file: StoredFile, attempt: Attempt) -> None:
        """A mirror was of no use."""

    def stored(self, state: FileState, new: bool) -> None:
        """A file is in its place and checked; `new` if it was not before."""


def fetch(
    entry: Entry, folder: Path, watcher: Watcher | None = None, patience: Patience | None = None
) -> None:
    """Download what the data folder lacks of a data set, or holds wrongly."""
    watcher, patience = watcher or Watcher(), patience or Patience()
    _fill(entry, folder, watcher, lambda f: _download(entry, f, folder, watcher, patience))


def import_from(source: Path, entry: Entry, folder: Path, watcher: Watcher | None = None) -> None:
    """Copy a data set's files from a folder of the user's, in any of their usual layouts."""
    if not source.is_dir():
        raise UserError(f"{source}: expected a folder that holds the files of {entry.name}")
    _fill(entry, folder, watcher or Watcher(), lambda f: _import(source, entry, f, folder))


def part_path(entry: Entry, file: StoredFile, folder: Path) -> Path:
    """Where the bytes of an unfinished download wait."""
    path = stored_path(entry, file, folder)
    return path.with_name(path.name + ".part")


def _fill(
    entry: Entry, folder: Path, watcher: Watcher, bring: Callable[[StoredFile], None]
) -> None:
    """Bring in what is missing or wrong. While it comes, this process alone is at the data set."""
    states = check(entry, folder)
    if all(_settled(state) for state in states):
        for state in states:
            watcher.stored(state, new=False)
        return
    with _alone(entry, folder, watcher):
        for file in entry.files:
            state = before = check_file(entry, file, folder)
            if not before.good:
                bring(file)
                state = check_file(entry, file, folder)
            elif before.found is not None:
                record(entry, file, folder, before.found)
            watcher.stored(state, new=not before.good)


def _settled(state: FileState) -> bool:
    """Good, and its checksum known from the catalogue or the record: nothing to write."""
    return state.good and state.expected is not None


@contextmanager
def _alone(entry: Entry, folder: Path, watcher: Watcher) -> Iterator[None]:
    place = folder / entry.name
    with writing(place):
        place.mkdir(parents=True, exist_ok=True)
        TemporaryFile(dir=place).close()  # a lock on a read-only folder would wait for ever
        lock = FileLock(place / ".lock")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            watcher.waiting(entry)
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _download(
    entry: Entry, file: StoredFile, folder: Path, watcher: Watcher, patience: Patience
) -> None:
    part = part_path(entry, file, folder)
    begun = origin(part)
    attempts = []
    # A download that was broken off goes on where it began, whatever the order.
    for url in sorted(file.mirrors, key=lambda url: begun is None or url != begun.url):
        watcher.started(file, url)
        try:
            with writing(part.parent):
                download(url, part, lambda *count: watcher.progress(file, *count), patience)
            _settle(part, entry, file, folder)
            return
        except Unusable as error:
            attempts.append(Attempt(url, str(error)))
            watcher.failed(file, attempts[-1])
    raise _download_failed(entry, file, folder, attempts)


def _settle(part: Path, entry: Entry, file: StoredFile, folder: Path) -> None:
    """Place a complete download; whatever comes of it, its bytes are not to be resumed."""
    try:
        place(part, entry, file, folder)
    except Unusable:
        discard(part)
        raise
    discard(part)


def _download_failed(
    entry: Entry, file: StoredFile, folder: Path, attempts: list[Attempt]
) -> DownloadFailed:
    lines = [f"{entry.name}: {file.name} could not be downloaded"]
    lines += [f"  {attempt.url}: {attempt.reason}" for attempt in attempts]
    if part_path(entry, file, folder).exists():
        lines.append("what came is kept: the same command goes on from there")
    lines.append(f"with files from elsewhere: `{fetch_command(entry, folder)} --from DIR`")
    return DownloadFailed("\n".join(lines))


def _import(source: Path, entry: Entry, file: StoredFile, folder: Path) -> None:
    names = [name + tail for name in (file.name, *file.aliases) for tail in ("", ".gz")]
    reasons = []
    for place_name in ("", *entry.folders):
        for path in (source / place_name / name for name in names):
            if not path.is_file():
                continue
            try:
                place(path, entry, file, folder)
                return
            except Unusable as error:
                reasons.append(f"{path}: not {entry.name}'s {file.name}: {error}")
    if reasons:
        raise UserError(reasons[0])
    raise UserError(
        f"{source}: {file.name} of {entry.name} is not there, with or without .gz, "
        f"nor in a folder {', '.join(entry.folders)} in it"
    )
