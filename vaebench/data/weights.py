"""The files of trained networks that evaluators need."""

from collections.abc import Iterable
from pathlib import Path

from vaebench.data.catalog import lookup_weights
from vaebench.data.checksums import check_file
from vaebench.data.folder import fetch_command, stored_path
from vaebench.errors import UserError


def weights_path(name: str, folder: Path) -> Path | None:
    """The file of these weights, read and checked; None if it is not there."""
    entry = lookup_weights(name)
    (file,) = entry.files
    state = check_file(entry, file, folder)
    if state.status == "missing":
        return None
    if not state.good:
        raise UserError(
            f"{state.path}: expected {state.expected}, found {state.found}; "
            f"`{fetch_command(entry, folder)}` fetches it again"
        )
    return state.path


def absent_weights(names: Iterable[str], folder: Path) -> list[str]:
    """Those of these weights that are not in the data folder."""
    entries = [lookup_weights(name) for name in sorted(names)]
    return [
        entry.name
        for entry in entries
        if not all(stored_path(entry, file, folder).exists() for file in entry.files)
    ]
