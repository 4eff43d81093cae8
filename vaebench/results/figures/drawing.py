"""What every figure has: a statement, symbols in its texts, and a file with the same bytes."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vaebench.results.typeset import Formula, Piece, Symbol, pieces
from vaebench.store.atomic import write_bytes

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DPI = 150
_MINUS = re.compile(r"(?<![\w.])-(?=\d)")


@dataclass(frozen=True)
class Drawing:
    """A finished figure and a sentence on what is in it."""

    figure: "Figure"
    statement: str


def mark_scale(figure: "Figure", name: str, scale: str, **place: float) -> None:
    """Write on the figure that its runs are reduced ones, at the top or at y=`place`."""
    if scale != "paper":
        words = f"{name}, {scale} scale: not comparable with the paper"
        figure.suptitle(words, fontsize=9, **place)


def mathtext(text: str) -> str:
    """A text of a spec with its symbols in matplotlib's mathematics: `log σ_x²`."""
    return "".join(map(_set, pieces(text)))


def _set(piece: Piece) -> str:
    if isinstance(piece, Symbol):
        below = f"_{{{piece.below}}}" if piece.below else ""
        above = f"^{{{piece.above}}}" if piece.above else ""
        primes = "'" * piece.primes
        return f"${piece.base}{primes}{below}{above}$"
    if isinstance(piece, Formula):
        return f"${piece.text}$"
    return _MINUS.sub("−", piece.text).replace("$", r"\$")


def text_width(text: str, size: float) -> int:
    """The width of a text of the spec in dots; `size` is in points."""
    from matplotlib.textpath import TextPath

    points = TextPath((0, 0), mathtext(text), size=size).get_extents().width
    return math.ceil(points * DPI / 72)


def starts(first: int, lengths: Sequence[int], gaps: Sequence[int]) -> list[int]:
    """Where pieces of these lengths begin, with these gaps between them."""
    return [first + sum(lengths[:i]) + sum(gaps[:i]) for i in range(len(lengths))]


def save(drawing: Drawing, path: Path) -> None:
    """Write the figure in the format of the path's ending, atomically; the same drawing gives the
    same bytes, so there is no date and no random id in them."""
    from matplotlib import rc_context

    form = path.suffix.lstrip(".")
    undated: dict[str, Any] = {"pdf": {"CreationDate": None}, "svg": {"Date": None}}
    buffer = BytesIO()
    with rc_context({"svg.hashsalt": "vaebench"}):
        drawing.figure.savefig(buffer, format=form, dpi=DPI, metadata=undated.get(form))
    write_bytes(path, buffer.getbuffer())
