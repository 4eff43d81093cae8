"""Filling the data folder, from mirrors or from files the user has. Only this uses the network."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from vaebench.data.archives import Members, members
from vaebench.data.assets import Archive, Asset, Source, StoredFile
from vaebench.data.checksums import FileState, check_file
from vaebench.data.download import Patience, discard, download, origin
from vaebench.data.folder import fetch_command, stored_path
from vaebench.data.placing import Unusable, alone, place, place_bytes, record, writing
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

    def waiting(self, entry: Asset) -> None:
        """Another process is at this data set."""

    def started(self, source: Source, url: str) -> None:
        """A mirror is being asked."""

    def progress(self, source: Source, done: int, total: int | None) -> None:
        """Bytes that have come and, if the mirror says, bytes in all."""

    def unpacking(self, archive: Archive) -> None:
        """An archive is all there, and its files are being taken out of it."""

    def failed(self, source: Source, attempt: Attempt) -> None:
        """A mirror was of no use."""

    def stored(self, state: FileState, new: bool) -> None:
        """A file is in its place and checked; `new` if it was not before."""

    def preparing(self, entry: Asset, done: int, total: int) -> None:
        """Bytes that have been written, and in all, of what is made of the files once."""


def fetch(
    entry: Asset, folder: Path, watcher: Watcher | None = None, patience: Patience | None = None
) -> None:
    """Download what the data folder lacks of a data set, or holds wrongly."""
    watcher, patience = watcher or Watcher(), patience or Patience()

    def bring(source: Source) -> None:
        _download(entry, source, folder, watcher, patience)

    _fill(entry, list(entry.sources), folder, watcher, bring)


def import_from(given: Path, entry: Asset, folder: Path, watcher: Watcher | None = None) -> None:
    """Copy files of the user's: from a folder, in any of their usual layouts, or a single one."""
    watcher = watcher or Watcher()
    if given.is_dir():
        sources = list(entry.sources)
        _fill(entry, sources, folder, watcher, lambda s: _import(given, entry, s, folder))
    elif given.is_file():
        source = _meant(given, entry)
        _fill(entry, [source], folder, watcher, lambda s: _import_only(given, entry, s, folder))
    else:
        raise UserError(
            f"{given}: expected a folder that holds the files of {entry.name}, or one of them"
        )


def part_path(entry: Asset, source: Source, folder: Path) -> Path:
    """Where a download waits until it is placed; an archive, until all its files are."""
    path = stored_path(entry, source, folder)
    return path.with_name(path.name + ".part")


def _fill(
    entry: Asset,
    sources: Sequence[Source],
    folder: Path,
    watcher: Watcher,
    bring: Callable[[Source], None],
) -> None:
    """Bring in what is missing or wrong of what these sources give. While it comes, this process
    alone is at the data set."""
    wanted = {source: entry.sources[source] for source in sources}
    states = [check_file(entry, file, folder) for files in wanted.values() for file in files]
    parts = [part_path(entry, source, folder) for source in sources]
    if all(_settled(state) for state in states) and not any(part.exists() for part in parts):
        for state in states:
            watcher.stored(state, new=False)
        return
    with alone(folder / entry.name, lambda: watcher.waiting(entry)):
        for source, files in wanted.items():
            before = {file: check_file(entry, file, folder) for file in files}
            if not all(state.good for state in before.values()):
                bring(source)
            for file, state in before.items():
                now = state if state.good else check_file(entry, file, folder)
                if now.good and now.found is not None:
                    record(entry, file, folder, now.found)
                    now = replace(now, expected=now.found)
                watcher.stored(now, new=not state.good)
            discard(part_path(entry, source, folder))


def _settled(state: FileState) -> bool:
    """Good, and its checksum known from the catalogue or the record: nothing to write."""
    return state.good and state.expected is not None


def _download(
    entry: Asset, source: Source, folder: Path, watcher: Watcher, patience: Patience
) -> None:
    part = part_path(entry, source, folder)
    begun = origin(part)
    attempts = []
    # A download that was broken off goes on where it began, whatever the order.
    for url in sorted(source.mirrors, key=lambda url: begun is None or url != begun.url):
        watcher.started(source, url)
        try:
            with writing(part.parent):
                download(url, part, lambda *count: watcher.progress(source, *count), patience)
            if isinstance(source, Archive):
                watcher.unpacking(source)
            _settle(part, entry, source, folder)
            return
        except Unusable as error:
            attempts.append(Attempt(url, str(error)))
            watcher.failed(source, attempts[-1])
    raise _download_failed(entry, source, folder, attempts)


def _settle(part: Path, entry: Asset, source: Source, folder: Path) -> None:
    """Place a complete download; if it is of no use, its bytes are not to be resumed."""
    try:
        if isinstance(source, Archive):
            _unpack(part, entry, source, folder)
        else:
            place(part, entry, source, folder)
    except Unusable:
        discard(part)
        raise


def _unpack(path: Path, entry: Asset, archive: Archive, folder: Path) -> None:
    """Place the members of an archive that are lacking."""
    wanted = {file.member: file for file in _lacking(entry, archive, folder)}
    with closing(_members(path, archive, wanted)) as found:
        for member, chunks in found:
            try:
                place_bytes(chunks, entry, wanted[member], folder)
            except Unusable as error:
                raise Unusable(f"{member}: {error}") from error


def _members(path: Path, archive: Archive, wanted: Mapping[str, StoredFile]) -> Members:
    if path.name not in archive.arrays:
        return members(path, wanted)
    from vaebench.data.cifar import records

    return records(path, {name: file.part for name, file in wanted.items()})


def _lacking(entry: Asset, source: Source, folder: Path) -> list[StoredFile]:
    files = entry.sources[source]
    return [file for file in files if not check_file(entry, file, folder).good]


def _download_failed(
    entry: Asset, source: Source, folder: Path, attempts: list[Attempt]
) -> DownloadFailed:
    lines = [f"{entry.name}: {source.name} could not be downloaded"]
    lines += [f"  {attempt.url}: {attempt.reason}" for attempt in attempts]
    if part_path(entry, source, folder).exists():
        lines.append("what came is kept: the same command goes on from there")
    lines.append(f"with files from elsewhere: `{fetch_command(entry, folder)} --from DIR`")
    if entry.by_hand:
        lines.append(entry.by_hand)
    return DownloadFailed("\n".join(lines))


def _meant(given: Path, entry: Asset) -> Source:
    """The source that a single file of the user's is: by its name, or because there is one.

    Whatever its name, only a published checksum can tell that the bytes are the right ones.
    """
    for name, why in entry.refused.items():
        if given.name == PurePosixPath(name).name:
            raise UserError(f"{given}: {why}")
    for source in entry.sources:
        if given.name in (*source.names, *(f"{name}.gz" for name in source.names)):
            return source
    only = next(iter(entry.sources))
    if len(entry.sources) == 1 and all(file.sha256 for file in entry.files):
        return only
    expected = " or ".join(source.name for source in entry.sources)
    raise UserError(f"{given}: by its name no file of {entry.name}; expected {expected}")


def _import_only(given: Path, entry: Asset, source: Source, folder: Path) -> None:
    """Place what this very file gives."""
    try:
        if isinstance(source, Archive):
            _unpack(given, entry, source, folder)
        else:
            place(given, entry, source, folder)
    except Unusable as error:
        raise UserError(f"{given}: not {entry.name}'s {source.name}: {error}") from error


def _import(given: Path, entry: Asset, source: Source, folder: Path) -> None:
    """Place what a source gives: from the archive if it is there, else file by file."""
    reasons: list[str] = []
    if isinstance(source, Archive):
        for path in _present(given, entry, source.names):
            try:
                _unpack(path, entry, source, folder)
                return
            except Unusable as error:
                reasons.append(f"{path}: not {entry.name}'s {source.name}: {error}")
    for file in _lacking(entry, source, folder):
        _import_file(given, entry, file, folder, reasons)


def _import_file(
    given: Path, entry: Asset, file: StoredFile, folder: Path, reasons: Sequence[str]
) -> None:
    """Place a file from the first path that has the right bytes; `reasons` are earlier failures."""
    reasons = list(reasons)
    in_archive = (file.member, PurePosixPath(file.member).name) if file.archive else ()
    names = dict.fromkeys((*in_archive, *file.names))
    for path in _present(given, entry, [name + tail for name in names for tail in ("", ".gz")]):
        try:
            place(path, entry, file, folder)
            return
        except Unusable as error:
            reasons.append(f"{path}: not {entry.name}'s {file.name}: {error}")
    for name, why in entry.refused.items():
        reasons += [f"{path}: {why}" for path in _present(given, entry, [name])]
    if reasons:
        raise UserError(reasons[0])
    what = f"{file.name} of {entry.name} is not there, with or without .gz"
    if file.archive:
        what = f"neither {file.archive.name} of {entry.name} nor its {file.member} is there"
    places = f", nor in a folder {', '.join(entry.folders)} in it" if entry.folders else ""
    by_hand = f"\n{entry.by_hand}" if entry.by_hand else ""
    raise UserError(f"{given}: {what}{places}{by_hand}")


def _present(given: Path, entry: Asset, names: Iterable[str]) -> Iterator[Path]:
    """The files of these names in a folder of the user's, or in a usual folder in it."""
    for place_name in ("", *entry.folders):
        for name in names:
            if (given / place_name / name).is_file():
                yield given / place_name / name
