"""Texts of the tables taken apart, so that LaTeX and HTML can set their symbols: `log σ_x²`."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from vaebench.results.grid import Cell


@dataclass(frozen=True)
class Words:
    """Text to be taken letter by letter."""

    text: str


@dataclass(frozen=True)
class Symbol:
    """A symbol with what stands below and above it: `σ`, `x`, `2`."""

    base: str
    below: str = ""
    above: str = ""
    primes: int = 0


@dataclass(frozen=True)
class Code:
    """What is typed on a command line; it stands between backticks."""

    text: str


@dataclass(frozen=True)
class Formula:
    """A whole text in LaTeX's own mathematics, without its dollars."""

    text: str


Piece = Words | Symbol | Code | Formula

ABOVE = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻", "0123456789+-")
BELOW = str.maketrans("₀₁₂₃₄₅₆₇₈₉₊₋", "0123456789+-")
_GREEK = "[Α-Ωα-ω]"
_HIGH, _LOW = "[⁰¹²³⁴-⁹⁺⁻]", "[₀-₉₊₋]"
_SCRIPT = rf"(?:[_^](?:{_GREEK}|-?[A-Za-z0-9]+)|{_HIGH}+|{_LOW}+|′)"
# A symbol is Greek, a norm, a letter alone or a number; the last two only with something at it.
_SYMBOL = (
    rf"(?:{_GREEK}|‖|(?<![A-Za-z0-9_])[A-Za-z](?={_SCRIPT})|(?<![\w.])\d+(?={_HIGH}))"
    rf"{_SCRIPT}*"
)
_PIECES = re.compile(rf"`(?P<code>[^`]+)`|(?P<symbol>{_SYMBOL})")
_PARTS = re.compile(_SCRIPT)
_FORMULA = re.compile(r"\$([^$%#\n]+)\$")


def pieces(text: str) -> Iterator[Piece]:
    """The pieces of a text in reading order."""
    formula = _FORMULA.fullmatch(text)
    if formula is not None and _is_balanced(formula[1]):
        yield Formula(formula[1])
        return
    text = " ".join(text.splitlines())
    end = 0
    for match in _PIECES.finditer(text):
        if match.start() > end:
            yield Words(text[end : match.start()])
        yield Code(match["code"]) if match["code"] else _symbol(match["symbol"])
        end = match.end()
    if end < len(text):
        yield Words(text[end:])


def styled(cell: Cell) -> list[tuple[str, str | None]]:
    """The texts of a cell with their styles, neighbours of one style as one."""
    found: list[tuple[str, str | None]] = []
    for span in cell:
        if found and found[-1][1] == span.style:
            found[-1] = (found[-1][0] + span.text, span.style)
        else:
            found.append((span.text, span.style))
    return found


def _symbol(text: str) -> Symbol:
    """`σ_x²` as its parts."""
    first = _PARTS.search(text, 1)
    base = text[: first.start()] if first else text
    below, above, primes = "", "", 0
    for part in _PARTS.findall(text, len(base)):
        if part == "′":
            primes += 1
        elif part[0] == "_" or part[0].translate(BELOW) != part[0]:
            below += part.removeprefix("_").translate(BELOW)
        else:
            above += part.removeprefix("^").translate(ABOVE)
    return Symbol(base, below, above, primes)


def _is_balanced(text: str) -> bool:
    depth = 0
    for brace in re.findall(r"(?<!\\)[{}]", text):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            return False
    return depth == 0 and not text.endswith("\\")
