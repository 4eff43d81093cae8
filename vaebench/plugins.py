"""Modules of users that register methods, evaluators and data sets, by name and by entry point."""

import importlib
import sys
from collections.abc import Iterable
from pathlib import Path

from vaebench.errors import UserError

_named: list[str] = []


def load(names: Iterable[str]) -> None:
    """Import what installed packages offer and these modules; the current folder counts."""
    from importlib.metadata import entry_points

    for entry in entry_points(group="vaebench.plugins"):
        entry.load()
    for name in names:
        if str(Path.cwd()) not in sys.path:
            sys.path.insert(0, str(Path.cwd()))
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            raise UserError(f"--plugin {name}: {error}; is it in this folder?") from error
        _named.append(name)


def loaded() -> tuple[str, ...]:
    """The modules that were named, for worker processes to load too."""
    return tuple(dict.fromkeys(_named))
