"""Text data sets made anew from their sources, as far as IGP says how it made its own.

Sentences are in lower case, without commas, apostrophes and quotation marks; every other sign is a
word of its own, and what is unknown already is `<unk>`. Texts longer than a set allows are left
out. All draws are seeded, so that everybody has the same splits.
"""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from vaebench.data import draws
from vaebench.data.assets import Entry, StoredFile
from vaebench.data.corpora import Corpus, checked_content, checked_lines, decoded
from vaebench.data.derived_texts import in_blocks
from vaebench.data.folder import stored_path
from vaebench.data.tokenizers import SPECIALS, UNK
from vaebench.errors import UserError

_SEEDS = {"train": 20_260_161, "validation": 20_260_162, "test": 20_260_163}
_ALIKE = {"train": ("train",), "validation": ("validation",), "test": ("test",)}

_UNKNOWN = SPECIALS[UNK]
_CLITICS = re.compile(r" (?=(?:n't|'(?:s|m|d|re|ve|ll))(?: |$))")
_LEFT_OUT = str.maketrans("", "", ",'\"`‘’“”")
_BRACKETS = {"-lrb-": "(", "-rrb-": ")", "-lsb-": "[", "-rsb-": "]", "-lcb-": "{", "-rcb-": "}"}
_WORDS = re.compile(rf"{_UNKNOWN}|-[lr][rsc]b-|\w+|[^\w\s]")

_BOOK_TITLE = "_BOOK_TITLE_"  # begins the line before a book in the Children's Book Test
_LONGEST_SENTENCE = 40
# The longest that leave means of about the 31 and 12.5 words, </s> among them, that IGP's losses
# and perplexities tell of.
_LONGEST_ABSTRACT = 50
_LONGEST_QUESTION = 30

_SHORTEST_OPENING = 3
_ENDS = re.compile(r"[?!]|\.+")
_PUNCTUATED = ("keaml", "dhim", "olora")  # the sources of abstracts with their punctuation
_SAME = 160  # letters and digits at the beginning, by which an abstract is known again


def plain(text: str) -> str:
    """The words of a text between blanks; clitics that stand apart (`do n't`) are put back."""
    joined = _CLITICS.sub("", text.lower().replace("_unk", _UNKNOWN)).translate(_LEFT_OUT)
    return " ".join(_BRACKETS.get(word, word) for word in _WORDS.findall(joined))


def read_sentences(entry: Entry, folder: Path) -> dict[str, Corpus]:
    """Sentences of books, a file of them for every split."""
    pools = {}
    for file in entry.files:
        lines = decoded(checked_content(entry, file, folder), stored_path(entry, file, folder))
        found = (plain(line) for line in lines.split("\n") if not line.startswith(_BOOK_TITLE))
        pools[file.part] = _pool(((text, 0) for text in found), _LONGEST_SENTENCE)
    return _drawn(entry, folder, pools, _ALIKE)


def read_abstracts(entry: Entry, folder: Path) -> dict[str, Corpus]:
    """Abstracts of the CSV files of X. Zhang et al. (2015): class, title, abstract."""
    return _from_csv(entry, folder, columns=3, text=2, longest=_LONGEST_ABSTRACT)


def read_questions(entry: Entry, folder: Path) -> dict[str, Corpus]:
    """Titles of the CSV files of X. Zhang et al. (2015): class, title, question, answer."""
    return _from_csv(entry, folder, columns=4, text=1, longest=_LONGEST_QUESTION)


def read_hypotheses(entry: Entry, folder: Path) -> dict[str, Corpus]:
    """Hypotheses of SNLI's own tables."""
    pools = {
        file.part: _pool((plain(text), 0) for text in _column(entry, file, folder, "sentence2"))
        for file in entry.files
    }
    return _drawn(entry, folder, pools, _ALIKE)


def read_openings(entry: Entry, folder: Path) -> dict[str, Corpus]:
    """Opening sentences of documents that lie in order of class, none of them in two splits."""
    whole = in_blocks(entry, folder)
    told = zip(map(_opening, whole.sentences), whole.labels.tolist(), strict=True)
    kept = ((plain(" ".join(x)), label) for x, label in told if len(x) >= _SHORTEST_OPENING)
    part = entry.files[0].part
    return _drawn(entry, folder, {part: _pool(kept, _LONGEST_QUESTION)}, {part: tuple(_SEEDS)})


def read_pieces(entry: Entry, folder: Path) -> dict[str, Corpus]:
    """Abstracts of a table of several sources, each text once, the classes as they come."""
    (file,) = entry.files
    labels = [str(label) for label in range(entry.classes)]
    found: dict[str, tuple[str, int]] = {}
    for number, (source, _, label, _, text) in _rows(entry, file, folder, columns=5):
        if number == 1:
            continue
        if label not in labels:
            expected = f"expected one of {', '.join(labels)}"
            raise _bad_line(entry, file, folder, number, f"label {label!r}; {expected}")
        if source in _PUNCTUATED:
            same = re.sub("[^a-z0-9]", "", text.lower())[:_SAME]
            found[same] = plain(text), int(label)
    pool = _pool(found.values(), _LONGEST_ABSTRACT)
    return _drawn(entry, folder, {file.part: pool}, {file.part: tuple(_SEEDS)}, even=False)


def read_words_of_hypotheses(entry: Entry, folder: Path) -> dict[str, Corpus]:
    """Hypotheses without signs, as SNLI's held-out sets come here: training ones are those of a
    table of pairs, and what the draw for validation leaves of the development set."""
    pools = {}
    for file in entry.files:
        if file.part == "train":
            texts = _column(entry, file, folder, "hypothesis")
        else:
            texts = (text for _, (_, text, _) in _rows(entry, file, folder, columns=3))
        words = (filter(str.isalnum, plain(text).split()) for text in texts)
        pools[file.part] = _pool((" ".join(found), 0) for found in words)
    path = stored_path(entry, entry.file("validation"), folder)
    validation, rest = _some(pools["validation"], "validation", entry, path)
    pools["train"] = Corpus(
        [*pools["train"].sentences, *rest.sentences],
        np.concatenate([pools["train"].labels, rest.labels]),
    )
    drawn = _drawn(entry, folder, pools, {"train": ("train",), "test": ("test",)})
    return {"train": drawn["train"], "validation": validation, "test": drawn["test"]}


def _opening(document: str) -> list[str]:
    """The words up to the first that end a sentence, those among them."""
    words = document.split()
    ends = [_ENDS.fullmatch(word) is not None for word in words]
    first = ends.index(True) if True in ends else len(words)
    after = ends.index(False, first) if False in ends[first:] else len(words)
    return words[:after]


def _pool(texts: Iterable[tuple[str, int]], longest: int | None = None) -> Corpus:
    """Those with a word, but with no more than the longest."""
    kept = [
        (text, label)
        for text, label in texts
        if text and (longest is None or text.count(" ") < longest)
    ]
    return Corpus([text for text, _ in kept], np.array([label for _, label in kept], np.int64))


def _drawn(
    entry: Entry,
    folder: Path,
    pools: Mapping[str, Corpus],
    sources: Mapping[str, Sequence[str]],
    *,
    even: bool = True,
) -> dict[str, Corpus]:
    """The splits that come of each part's pool, drawn one after the other.

    `even`: as many of every class. Test sentences lie in order of their classes, as in IGP.
    """
    corpora = {}
    for part, splits in sources.items():
        path, rest = stored_path(entry, entry.file(part), folder), pools[part]
        for split in splits:
            corpora[split], rest = _some(rest, split, entry, path, even=even)
    test = corpora["test"]
    return corpora | {"test": test.some(np.argsort(test.labels, kind="stable"))}


def _some(
    pool: Corpus, split: str, entry: Entry, path: Path, *, even: bool = True
) -> tuple[Corpus, Corpus]:
    """A draw of the size of a split, and the rest; both in the order of the pool."""
    size = entry.splits[split]
    if even:
        chosen = draws.balanced(pool.labels, size, _SEEDS[split])
    else:
        chosen = draws.drawn(len(pool), size, _SEEDS[split])
    each = np.bincount(pool.labels[chosen], minlength=entry.classes)
    if len(chosen) < size or (even and np.ptp(each) > 1):
        wanted = f"{size:,} {'of all classes alike ' if entry.classes else ''}"
        raise UserError(
            f"{path}: {len(pool):,} texts of use are left, too few to draw {wanted}"
            f"for the {split} split of {entry.name}"
        )
    return pool.some(chosen), pool.some(np.delete(np.arange(len(pool)), chosen))


def _from_csv(
    entry: Entry, folder: Path, *, columns: int, text: int, longest: int
) -> dict[str, Corpus]:
    """Texts of CSV files whose first column is the class from 1. Those for validation come from
    the training file."""
    pools = {}
    for file in entry.files:
        rows = _csv_rows(entry, file, folder, columns)
        pools[file.part] = _pool(((plain(row[text]), int(row[0]) - 1) for row in rows), longest)
    return _drawn(entry, folder, pools, {"train": ("train", "validation"), "test": ("test",)})


def _csv_rows(entry: Entry, file: StoredFile, folder: Path, columns: int) -> Iterator[list[str]]:
    content = checked_content(entry, file, folder)
    reader = csv.reader(io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig", newline=""))
    labels = {str(label) for label in range(1, entry.classes + 1)}
    try:
        for row in reader:
            if len(row) != columns or row[0] not in labels:
                told = f"expected a class from 1 to {entry.classes} and {columns - 1} texts"
                raise _bad_line(entry, file, folder, reader.line_num, told)
            yield row
    except csv.Error as error:
        told = f"cannot be read as CSV ({error})"
        raise _bad_line(entry, file, folder, reader.line_num, told) from error
    except UnicodeDecodeError:
        decoded(content, stored_path(entry, file, folder))  # this tells the line
        raise


def _rows(
    entry: Entry, file: StoredFile, folder: Path, columns: int
) -> Iterator[tuple[int, list[str]]]:
    """The lines of a table, each with its number from 1, split at its tabs."""
    for number, line in enumerate(checked_lines(entry, file, folder), start=1):
        row = line.split("\t")
        if len(row) != columns:
            told = f"expected {columns} columns between tabs, found {len(row)}"
            raise _bad_line(entry, file, folder, number, told)
        yield number, row


def _column(entry: Entry, file: StoredFile, folder: Path, name: str) -> Iterator[str]:
    """What a table has in the column of this name, which its first line tells."""
    lines = checked_lines(entry, file, folder)
    names = lines[0].split("\t")
    if name not in names:
        raise _bad_line(entry, file, folder, 1, f"expected the names of columns, {name} among them")
    place = names.index(name)
    for number, line in enumerate(lines[1:], start=2):
        row = line.split("\t")
        if len(row) <= place:
            raise _bad_line(entry, file, folder, number, f"has no column {place + 1}, {name}")
        yield row[place]


def _bad_line(entry: Entry, file: StoredFile, folder: Path, number: int, told: str) -> UserError:
    return UserError(f"{stored_path(entry, file, folder)}: line {number}: {told}")
