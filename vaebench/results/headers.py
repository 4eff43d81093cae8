"""The head of a panel in storeys, with what spans its neighbours: for formats that can show it."""

from collections.abc import Sequence
from dataclasses import dataclass

from vaebench.results.grid import Header


@dataclass(frozen=True)
class HeaderCell:
    """One entry of the head; it covers `storeys` lines from `storey` on and `columns` columns."""

    text: str
    storey: int
    column: int
    storeys: int = 1
    columns: int = 1

    @property
    def last_storey(self) -> int:
        return self.storey + self.storeys - 1


def storeys(headers: Sequence[Header]) -> list[list[HeaderCell]]:
    """The lines of the head, top to bottom; a header that has no storey above it grows up.

    Neighbours under the same headers share them; the paper's and our half share their text.
    """
    paths = [(head.over, head.between, head.text, head.source) for head in headers]
    used = [level for level in range(4) if level == 2 or any(path[level] for path in paths)]
    columns = [_stack([path[level] or None for level in used]) for path in paths]
    lines: list[list[HeaderCell]] = [[] for _ in used]
    for column, stack in enumerate(columns):
        for index, cell in enumerate(stack):
            line = lines[cell.storey]
            before = columns[column - 1][: index + 1] if column else []
            shared = cell.last_storey < len(used) - 1 and before == stack[: index + 1]
            if shared and used[cell.last_storey] == 2:  # a pair, not the next column of this name
                shared = (headers[column - 1].source, headers[column].source) == ("paper", "ours")
            if shared:
                last = line[-1]
                line[-1] = HeaderCell(
                    last.text, last.storey, last.column, last.storeys, last.columns + 1
                )
            else:
                line.append(HeaderCell(cell.text, cell.storey, column, cell.storeys))
    return lines


def _stack(texts: Sequence[str | None]) -> list[HeaderCell]:
    """One column's headers, as if it stood first; each covers the blank storeys above it."""
    found: list[HeaderCell] = []
    start = 0
    for level, text in enumerate(texts):
        if text is not None or level == len(texts) - 1:
            found.append(HeaderCell(text or "", start, 0, level + 1 - start))
            start = level + 1
    return found
