"""`vaebench fetch-data`: the only command that touches the network."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vaebench.data.assets import Archive, Asset, Entry, Source
from vaebench.data.catalog import CATALOG, WEIGHTS, asset
from vaebench.data.checksums import FileState, check, present
from vaebench.data.fetch import Attempt, DownloadFailed, Watcher, fetch, import_from, part_path
from vaebench.data.folder import fetch_command, stored_path

if TYPE_CHECKING:
    from rich.progress import Progress


def fetch_data(names: tuple[str, ...], source: Path | None, check_only: bool, folder: Path) -> int:
    """Fetch, import, check or list; the exit code."""
    if source and check_only:
        raise click.UsageError("--from and --check exclude each other")
    if source and not names:
        raise click.UsageError("--from needs the NAME of what it holds")
    entries = [asset(name) for name in dict.fromkeys(names)]
    if check_only:
        return _check(entries or _all_present(folder), folder)
    if not entries:
        _list(folder)
        return 0
    return _bring(entries, source, folder)


def _bring(entries: Sequence[Asset], source: Path | None, folder: Path) -> int:
    """Fetch or import each data set; the exit code."""
    failed = False
    for entry in entries:
        if entry.made_in_code:
            _say(f"{entry.name}: made in code, nothing to fetch")
            continue
        with _watcher(entry) as watcher:
            if present(entry, folder) < len(entry.files):
                watcher.say(f"{entry.title}. {entry.terms}")
            try:
                if source:
                    import_from(source, entry, folder, watcher)
                else:
                    fetch(entry, folder, watcher)
                _complete(entry, folder, watcher)
            except DownloadFailed as error:
                watcher.say(f"vaebench: {error}")
                failed = True
            except KeyboardInterrupt:
                watcher.say(_stopped(entry, watcher.source, folder))
                return 130
    return int(failed)


def _complete(entry: Asset, folder: Path, watcher: "_Lines") -> None:
    """Make what is made of the files once, or say which files are yet to come."""
    lacking = [f for f in entry.files if not stored_path(entry, f, folder).is_file()]
    if lacking:
        watcher.say(f"{entry.name} still lacks {', '.join(file.name for file in lacking)}")
    elif isinstance(entry, Entry) and entry.format == "celeba":
        from vaebench.data import celeba

        place = celeba.arrays_path(entry, folder)
        if place.is_dir() and not celeba.intact(place):
            celeba.discard(place)
        new = not place.is_dir()
        celeba.prepare(entry, folder, lambda *count: watcher.preparing(entry, *count))
        watcher.say(
            f"{entry.name}/{place.name}: ok" + (" and stored" if new else ", already there")
        )


def _stopped(entry: Asset, source: Source | None, folder: Path) -> str:
    part = part_path(entry, source, folder) if source else None
    if part is None or not part.exists():
        return f"stopped; what {entry.name} has so far is complete and checked"
    return f"stopped; {part} is kept: `{fetch_command(entry, folder)}` goes on from there"


class _Lines(Watcher):
    """One line an event; `source` is the one at work."""

    def __init__(self, entry: Asset, say: Callable[[str], None]) -> None:
        self.entry = entry
        self.say = say
        self.source: Source | None = None

    def waiting(self, entry: Asset) -> None:
        self.say(f"{entry.name}: another process is fetching it; waiting")

    def started(self, source: Source, url: str) -> None:
        self.source = source
        self.say(f"{self._name(source)}: from {url}")

    def failed(self, source: Source, attempt: Attempt) -> None:
        self.say(f"{self._name(source)}: {attempt.url}: {attempt.reason}")

    def stored(self, state: FileState, new: bool) -> None:
        text = _describe(state) + (" and stored" if new else ", already there")
        self.say(f"{self._name(state.file)}: {text}")

    def preparing(self, entry: Asset, done: int, total: int) -> None:
        if done == 0:
            self.say(f"{entry.name}: making its arrays of {total / 1e6:,.0f} MB, once")

    def _name(self, source: Source) -> str:
        return f"{self.entry.name}/{source.name}"


class _Bar(_Lines):
    """The same lines, above a bar for what is at work."""

    def __init__(self, entry: Asset, bars: "Progress") -> None:
        super().__init__(entry, self._above)
        self._bars = bars

    def started(self, source: Source, url: str) -> None:
        self._clear()
        super().started(source, url)
        self._bars.add_task(source.name, total=None)

    def progress(self, source: Source, done: int, total: int | None) -> None:
        self._bars.update(self._bars.task_ids[-1], completed=done, total=total)

    def unpacking(self, archive: Archive) -> None:
        self._bars.update(self._bars.task_ids[-1], description=f"{archive.name}: unpacking")

    def preparing(self, entry: Asset, done: int, total: int) -> None:
        if done == 0:
            self._clear()
            self._bars.add_task(f"{entry.name}: arrays", total=total)
        super().preparing(entry, done, total)
        self._bars.update(self._bars.task_ids[-1], completed=done)

    def failed(self, source: Source, attempt: Attempt) -> None:
        self._clear()
        super().failed(source, attempt)

    def _clear(self) -> None:
        for task in self._bars.task_ids:
            self._bars.remove_task(task)

    def _above(self, line: str) -> None:
        self._bars.console.print(line, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def _watcher(entry: Asset) -> Iterator[_Lines]:
    """Lines on stderr; on a terminal, a bar below them."""
    if not sys.stderr.isatty():
        yield _Lines(entry, _say)
        return
    from rich import progress
    from rich.console import Console

    columns = (
        progress.TextColumn("{task.description}", markup=False),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        yield _Bar(entry, bars)


def _all_present(folder: Path) -> list[Asset]:
    """The data sets and weights of which something is there."""
    entries = [entry for entry in _everything() if present(entry, folder)]
    if not entries:
        _say(f"{folder} holds no data set")
    return entries


def _everything() -> list[Asset]:
    return [*CATALOG.values(), *WEIGHTS.values()]


def _check(entries: Sequence[Asset], folder: Path) -> int:
    """Print how each file stands; 1 if any cannot be used."""
    mends = []
    for entry in entries:
        if entry.made_in_code:
            click.echo(f"{entry.name}: made in code, nothing to check")
        states = check(entry, folder)
        for state in states:
            click.echo(f"{entry.name}/{state.file.name}: {_describe(state)}")
        if not (all(state.good for state in states) and _check_arrays(entry, folder)):
            mends.append(f"`{fetch_command(entry, folder)}`")
    if mends:
        _say(f"vaebench: in {folder}: {' and '.join(mends)} fetches what is missing or wrong")
    return int(bool(mends))


def _check_arrays(entry: Asset, folder: Path) -> bool:
    """Print how the arrays stand that were made of the files; not there is no fault."""
    if isinstance(entry, Entry) and entry.format == "celeba":
        from vaebench.data import celeba

        place = celeba.arrays_path(entry, folder)
        if place.is_dir():
            good = celeba.intact(place)
            click.echo(f"{entry.name}/{place.name}: " + ("ok" if good else f"damaged, in {place}"))
            return good
    return True


def _describe(state: FileState) -> str:
    if state.status == "wrong":
        return f"wrong: expected {state.expected}, found {state.found}"
    if state.status == "unverified":
        yet = "" if state.expected else ", none recorded yet"
        return f"unverified (no published checksum{yet}; sha256 {state.found})"
    return state.status


def _list(folder: Path) -> None:
    """Print what the catalogue knows and what of it is there."""
    header = ("name", "kind", "state", "train / test", "title")
    rows = [header, *(_row(entry, folder) for entry in _everything())]
    widths = [max(len(row[column]) for row in rows) for column in range(len(header))]
    for row in rows:
        line = "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True))
        click.echo(line.rstrip())
    _say(f"data folder: {folder}")


def _row(entry: Asset, folder: Path) -> tuple[str, ...]:
    kind, sizes = "weights", "-"
    if isinstance(entry, Entry):
        kind = entry.kind
        sizes = " / ".join(f"{entry.splits[split]:,}" for split in ("train", "test"))
    return (entry.name, kind, _presence(entry, folder), sizes, entry.title)


def _presence(entry: Asset, folder: Path) -> str:
    if entry.made_in_code:
        return "made in code"
    count = present(entry, folder)
    if count == len(entry.files):
        return "present"
    if count:
        return f"{count} of {len(entry.files)} files"
    sizes = [file.size for file in entry.files]
    return "missing" if None in sizes else f"missing ({entry.size / 1e6:.0f} MB)"


def _say(line: str) -> None:
    click.echo(line, err=True)
