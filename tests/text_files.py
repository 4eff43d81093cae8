"""Text data sets of the catalogue with few examples, or with the real files."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from vaebench.data.catalog import lookup
from vaebench.data.checksums import check
from vaebench.data.fetch import import_from
from vaebench.data.folder import data_folder
from vaebench.errors import UserError


def small(name, train, validation, test, **changes):
    """A data set of the catalogue as if it had few examples and no published checksums."""
    entry = lookup(name)
    files = tuple(replace(file, size=None, sha256=None) for file in entry.files)
    splits = {"train": train, "validation": validation, "test": test}
    return replace(entry, files=files, splits=splits, **changes)


def lay(folder, entry, *contents):
    """Write the files of a data set, as text."""
    (folder / entry.name).mkdir(parents=True, exist_ok=True)
    for file, content in zip(entry.files, contents, strict=True):
        (folder / entry.name / file.name).write_text(content, encoding="utf-8")


def text(sentences):
    return "".join(f"{sentence}\n" for sentence in sentences)


def held(name, folder):
    """A data folder that holds a data set: the user's, or one that is made of a folder of his."""
    entry, own = lookup(name), data_folder()
    if all(state.good for state in check(entry, own)):
        return own
    source = os.environ.get("VAEBENCH_TEST_DATA")
    if not source:
        pytest.skip(f"{name} is not in {own}, and VAEBENCH_TEST_DATA names no folder with it")
    try:
        import_from(Path(source), entry, folder)
    except UserError as error:
        pytest.skip(f"{name} is not in {own}, nor in VAEBENCH_TEST_DATA ({error})")
    return folder
