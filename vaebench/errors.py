"""The errors that a user can mend, and the search for the name they meant."""

from collections.abc import Iterable
from difflib import get_close_matches


class UserError(Exception):
    """Bad input: one or two lines that name the thing, the place and the mend (exit code 2)."""


def nearest(name: str, known: Iterable[str]) -> str:
    """A tail for an error message: the nearest known names, or all of them when few."""
    names = sorted(set(known))
    folded = {candidate.casefold(): candidate for candidate in names}
    close = [folded[match] for match in get_close_matches(name.casefold(), folded, n=3, cutoff=0.5)]
    if close:
        return "did you mean " + " or ".join(close) + "?"
    if not names:
        return "there are none"
    shown = ", ".join(names[:12])
    return f"there are: {shown}" + (" …" if len(names) > 12 else "")


def unknown(kind: str, name: str, known: Iterable[str]) -> UserError:
    """The error for a name that is not in the registry."""
    return UserError(f"unknown {kind} {name!r}; {nearest(name, known)}")
