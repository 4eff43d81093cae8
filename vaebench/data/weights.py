"""The files of trained networks that evaluators need."""

from pathlib import Path

from vaebench.data.catalog import lookup_weights
from vaebench.data.checksums import check_file
from vaebench.data.folder import fetch_command
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
