"""A page as LaTeX: one float with the caption, a booktabs tabular a panel, the notes below."""

import re
import unicodedata
from collections.abc import Iterator, Sequence

from vaebench.results.formats import numeric_columns
from vaebench.results.grid import Cell, GridLine, GridPanel, plain
from vaebench.results.headers import storeys
from vaebench.results.page import Page
from vaebench.results.typeset import ABOVE, BELOW, Code, Formula, Symbol, Words, pieces, styled

# The type that a panel of so many characters fits a page in, at the usual 345 pt.
_SIZES = ((70, r"\small"), (85, r"\footnotesize"))
_SMALLEST = r"\scriptsize\setlength{\tabcolsep}{3pt}"
_LONG = 40  # characters, from which on a column breaks its lines
_CHARACTERS = {
    **{sign: f"\\{sign}" for sign in "%#&$_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "`": r"\textasciigrave{}",
    '"': "''",
    "“": "``",
    "”": "''",
    "‘": "`",
    "’": "'",
    "–": "--",
    "—": "---",
    "…": r"\ldots{}",
    "†": r"\dag{}",
    "‡": r"\ddag{}",
    "ø": r"{\o}",
    "\N{NO-BREAK SPACE}": "~",
    **{sign: f"${sign}$" for sign in "<>|"},
    "±": r"$\pm$",
    "−": "$-$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "′": "$'$",
    "≤": r"$\leq$",
    "≠": r"$\neq$",
    "≥": r"$\geq$",
    "≈": r"$\approx$",
    "∞": r"$\infty$",
    "→": r"$\to$",
    "∈": r"$\in$",
    "°": r"$^{\circ}$",
}
_TOKENS = re.compile(
    r"(?P<negative>(?<![\w.)\]-])-\.?\d[\d.]*)|(?P<dashes>-{2,})|(?P<other>.)", re.S
)
_LATIN = dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΧο", "ABEZHIKMNOPTXo", strict=True))  # drawn as they are


def to_latex(page: Page) -> str:
    """A `table` environment to be read by `\\input`; its first line names the packages it needs."""
    body = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{latex_text(page.caption)}}}",
        rf"\label{{tab:{re.sub('[^A-Za-z0-9:.-]+', '-', page.table)}}}",
    ]
    for panel in page.grid.panels:
        if panel.title:
            body.append(rf"\par\smallskip\textbf{{{latex_text(panel.title)}}}\par\smallskip")
        body += _panel(panel)
    body.append(r"\par\smallskip")
    for note in (page.statement, *page.grid.footnotes, *page.notes):
        body.append(rf"\parbox{{\linewidth}}{{\footnotesize {latex_text(note)}}}\par")
    body.append(r"\end{table}")
    text = "\n".join(body) + "\n"
    return f"% {page.table}: needs \\usepackage{{{','.join(_packages(text))}}}\n{text}"


def latex_text(text: str) -> str:
    """A text as LaTeX prints it letter by letter, its symbols as mathematics."""
    return "".join(_piece(piece) for piece in pieces(text))


def _packages(text: str) -> Iterator[str]:
    yield "booktabs"
    if r"\multirow" in text:
        yield "multirow"
    if re.search(r"\\[lr]Vert|\\operatorname|\\text\{", text):
        yield "amsmath"
    if r"\mathbb" in text:
        yield "amssymb"


def _panel(panel: GridPanel) -> Iterator[str]:
    sides = 2 if any(block.label for block in panel.blocks) else 1
    yield rf"\begingroup{_size(panel)}"
    yield rf"\begin{{tabular}}{{{'l' * sides}{_alignment(panel)}}}"
    yield r"\toprule"
    yield from _head(panel, sides)
    for block in panel.blocks:
        yield r"\midrule"
        label = latex_text(block.label) if block.label else None
        for index, line in enumerate(block.lines):
            yield _line(line, sides, label, len(block.lines) if index == 0 else 0)
    yield r"\bottomrule"
    yield r"\end{tabular}\par\endgroup"


def _size(panel: GridPanel) -> str:
    """The size of type, by the characters of a line; long texts break and do not count in full."""
    lines = [line for block in panel.blocks for line in block.lines]
    sides = [block.label or "" for block in panel.blocks]
    columns = [sides, [line.label for line in lines]]
    columns += [[plain(line.cells[index]) for line in lines] for index in range(len(panel.headers))]
    widths = [min(max(map(len, texts), default=0), _LONG) for texts in columns]
    width = sum(widths) + 2 * len(widths)
    return next((size for most, size in _SIZES if width <= most), _SMALLEST)


def _alignment(panel: GridPanel) -> str:
    """`r` for numbers, `l` for short texts, a paragraph for long ones."""
    lines = [line for block in panel.blocks for line in block.lines]
    letters = []
    for index, numeric in enumerate(numeric_columns(panel)):
        texts = [plain(line.cells[index]) for line in lines]
        long = any(len(text) > _LONG and not text.startswith("$") for text in texts)
        width = f"p{{{0.8 / len(panel.headers):.2f}\\linewidth}}"
        letters.append("r" if numeric else width if long else "l")
    return "".join(letters)


def _head(panel: GridPanel, sides: int) -> Iterator[str]:
    """The storeys of the head; what grows over several stands in the lowest of them."""
    lines = storeys(panel.headers)
    count = len(panel.headers)
    for storey in range(len(lines)):
        last = storey == len(lines) - 1
        corner = _protected(latex_text(panel.corner)) if last else ""
        entries = [_spanning(corner, sides, "l")]
        shown = {c.column: c for line in lines for c in line if c.last_storey == storey}
        column = 0
        while column < count:
            cell = shown.get(column)
            width = cell.columns if cell else 1
            text = latex_text(cell.text) if cell else ""
            entries.append(_spanning(text, width, "c"))
            column += width
        yield _joined(entries)
        rules = (c for c in shown.values() if c.columns > 1)
        first = sides + 1
        rule = "".join(
            rf"\cmidrule(lr){{{first + c.column}-{first + c.column + c.columns - 1}}}"
            for c in sorted(rules, key=lambda c: c.column)
        )
        if rule:
            yield rule


def _line(line: GridLine, sides: int, block: str | None, first_of: int) -> str:
    """One line; the first of a block carries its label over all of them."""
    label = _protected(latex_text(line.label))
    if sides == 1:
        start = [label]
    elif block is None:
        start = [_spanning(label, 2, "l")]
    else:
        start = [rf"\multirow{{{first_of}}}{{*}}{{{block}}}" if first_of else "", label]
    return _joined([*start, *(_cell(cell) for cell in line.cells)])


def _cell(cell: Cell) -> str:
    commands = {"bold": r"\textbf", "underline": r"\underline"}
    return "".join(
        f"{commands[style]}{{{latex_text(text)}}}" if style in commands else latex_text(text)
        for text, style in styled(cell)
    )


def _spanning(text: str, columns: int, alignment: str) -> str:
    return rf"\multicolumn{{{columns}}}{{{alignment}}}{{{text}}}" if columns > 1 else text


def _joined(entries: Sequence[str]) -> str:
    return " & ".join(entries) + r" \\"


def _protected(text: str) -> str:
    """A line's first entry, which the end of the line above must not take for its argument."""
    return f"{{}}{text}" if text.startswith(("[", "*")) else text


def _piece(piece: Words | Symbol | Code | Formula) -> str:
    if isinstance(piece, Formula):
        return f"${piece.text}$"
    if isinstance(piece, Code):
        return rf"\texttt{{{_words(piece.text)}}}"
    if isinstance(piece, Symbol):
        scripts = f"_{{{_script(piece.below)}}}" if piece.below else ""
        scripts += "'" * piece.primes  # right before the exponent, or TeX counts two of them
        scripts += f"^{{{_script(piece.above)}}}" if piece.above else ""
        return f"${_base(piece.base)}{scripts}$"
    return _words(piece.text)


def _words(text: str) -> str:
    found = []
    for match in _TOKENS.finditer(text):
        if match["negative"]:
            found.append(f"${match['negative']}$")
        elif match["dashes"]:  # two of them are no dash
            found.append("{}".join(match["dashes"]))
        else:
            found.append(_character(match["other"]))
    return "".join(found)


def _character(sign: str) -> str:
    """One sign; what LaTeX's fonts lack is put by its plainest form."""
    if sign in _CHARACTERS:
        return _CHARACTERS[sign]
    for scripts, mark in ((ABOVE, "^"), (BELOW, "_")):
        if ord(sign) in scripts:
            return f"${mark}{{{sign.translate(scripts)}}}$"
    plainer = unicodedata.normalize("NFKC", sign)
    return "".join(
        f"${_greek(part).rstrip()}$" if _is_greek(part) else _CHARACTERS.get(part, part)
        for part in plainer
    )


def _base(text: str) -> str:
    if text == "‖":
        return r"\Vert"
    return "".join(_greek(sign) for sign in text).rstrip()


def _script(text: str) -> str:
    """What stands below or above: words upright, a letter alone slanted."""
    if len(text) > 1 and text.isalpha() and text.isascii():
        return rf"\mathrm{{{text}}}"
    return _base(text)


def _greek(sign: str) -> str:
    """`\\sigma ` of σ; other signs stay."""
    if not _is_greek(sign):
        return sign
    if sign in _LATIN:
        return _LATIN[sign]
    name = unicodedata.name(sign).rpartition(" ")[2].lower().replace("lamda", "lambda")
    if name == "sigma" and "FINAL" in unicodedata.name(sign):
        return r"\varsigma "
    return f"\\{name.capitalize() if sign.isupper() else name} "


def _is_greek(sign: str) -> bool:
    return "Α" <= sign <= "Ω" or "α" <= sign <= "ω"
