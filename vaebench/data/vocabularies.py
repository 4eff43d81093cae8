"""Vocabulary files, which stay as they were when a run first used them."""

import hashlib
import json
from pathlib import Path

from vaebench.data.checksums import RECORD, recorded_in
from vaebench.data.placing import alone, write
from vaebench.data.tokenizers import Words
from vaebench.errors import UserError


def checked_words(vocabulary: str, folder: Path) -> Words:
    """The words of a file; UserError if they are not those of its first use with this data folder.

    A run is known by the name of its vocabulary, as it is by that of its data.
    """
    words = Words.read(Path(vocabulary).expanduser())
    expected = recorded_in(folder / RECORD).get(vocabulary)
    if expected not in (None, _sha256(words)):
        raise UserError(
            f"{vocabulary}: its words have changed since it was first used; name the new one "
            f"anew, or take its line out of {folder / RECORD} and delete the results with it"
        )
    return words


def note_first_use(vocabulary: str, folder: Path) -> None:
    """Write down what the file holds, unless that was done before."""
    words = checked_words(vocabulary, folder)
    if vocabulary in recorded_in(folder / RECORD):
        return  # the folder need not take anything
    with alone(folder, lambda: None):
        known = recorded_in(folder / RECORD)
        if vocabulary not in known:
            text = json.dumps({**known, vocabulary: _sha256(words)}, indent=1, sort_keys=True)
            write(folder / RECORD, [text.encode() + b"\n"])


def _sha256(words: Words) -> str:
    return hashlib.sha256(words.identity).hexdigest()
