"""Where the data lies, and the command that puts it there."""

import os
import shlex
from pathlib import Path

from vaebench.data.assets import Asset, Source
from vaebench.errors import UserError


def data_folder(given: Path | str | None = None) -> Path:
    """The data folder: as given, else VAEBENCH_DATA, else `vaebench/data` in the user's cache."""
    chosen = given or os.environ.get("VAEBENCH_DATA")
    try:
        if chosen:
            return Path(chosen).expanduser().absolute()
        cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
        if not cache.is_absolute():  # the XDG specification: relative paths are to be ignored
            cache = Path.home() / ".cache"
    except RuntimeError as error:
        raise UserError(f"no data folder: {error}; name one with --data-dir DIR") from error
    return cache / "vaebench" / "data"


def stored_path(entry: Asset, file: Source, folder: Path) -> Path:
    """The place of a file, mostly in the data folder; of an archive, where it would be."""
    return (entry.lies_in or folder / entry.name) / file.name


def fetch_command(entry: Asset, folder: Path) -> str:
    """What to type to get this data set into this folder."""
    command = f"vaebench fetch-data {entry.name}"
    if folder == data_folder():
        return command
    return f"{command} --data-dir {shlex.quote(str(folder))}"
