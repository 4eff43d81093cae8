"""What a user picks or changes on the command line."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from vaebench.errors import UserError, unknown
from vaebench.registry.canonical import digest


@dataclass(frozen=True)
class Selection:
    """Which runs, and what is changed in them.

    `seeds` and `only` choose among the runs; `limit` and `settings` change them, so their runs go
    to a CSV of their own, named by `variant`.
    """

    seeds: int | None = None
    only: tuple[str, ...] = ()
    limit: int | None = None
    settings: tuple[str, ...] = ()

    @property
    def variant(self) -> str | None:
        """The mark of changed runs in file names and headings."""
        parts = [] if self.limit is None else [f"limit{self.limit}"]
        if self.settings:
            parts.append(f"set-{digest(sorted(self.settings), 6)}")
        return "-".join(parts) or None

    @property
    def changes(self) -> str | None:
        """The changes as they were typed, for people."""
        parts = [] if self.limit is None else [f"--limit {self.limit}"]
        parts += [f"--set {setting}" for setting in self.settings]
        return " ".join(parts) or None

    def picks(self, names: Sequence[str]) -> set[str]:
        """Those of `names` that `--only` picks; UserError for a pattern that picks none."""
        picked: set[str] = set()
        for pattern in self.only:
            found = matches(pattern, names)
            if not found:
                raise UserError(f"--only {pattern!r}: {unknown('row or group', pattern, names)}")
            picked.update(found)
        return picked


EVERYTHING = Selection()


def matches(pattern: str, names: Sequence[str]) -> list[str]:
    """Case-blind: the name itself, else by wildcards, else every name that contains the pattern."""
    folded = pattern.casefold()
    exact = [name for name in names if name.casefold() == folded]
    if exact:
        return exact
    if any(sign in folded for sign in "*?["):
        return [name for name in names if fnmatchcase(name.casefold(), folded)]
    return [name for name in names if folded in name.casefold()]
