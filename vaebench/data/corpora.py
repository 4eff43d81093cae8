"""Text files: one tokenised sentence or document a line, after `label<TAB>` where they have one.

What is wrong with a file is told with its line.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from vaebench.data.assets import Entry, StoredFile
from vaebench.data.checksums import expected_sha256, named_sha256
from vaebench.data.folder import fetch_command, stored_path
from vaebench.data.placing import alone, record
from vaebench.errors import UserError


@dataclass(frozen=True)
class Corpus:
    """The sentences of a split and their classes (int64 [N]; all 0 without classes)."""

    sentences: Sequence[str]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.sentences)

    def some(self, places: NDArray[np.int64]) -> "Corpus":
        """Those at `places`."""
        return Corpus([self.sentences[i] for i in places.tolist()], self.labels[places])


def corpus(name: str, folder: Path | str) -> Entry:
    """The data set of text files of a user's, which are read to count them: train.txt, test.txt
    and, if there is one, valid.txt or validation.txt. It has classes if its lines have tabs."""
    place = Path(folder).expanduser().absolute()
    validation = next((v for v in ("valid.txt", "validation.txt") if (place / v).exists()), None)
    names = {"train": "train.txt", "validation": validation, "test": "test.txt"}
    parts = {part: place / name for part, name in names.items() if name}
    found = {part: lines(_content(path), path) for part, path in parts.items()}
    classes = 0
    if _all_with_tab(found["train"], parts["train"]):
        labels = {part: labelled(told, parts[part])[0] for part, told in found.items()}
        classes = len(set(labels["train"]))
    else:
        for part, told in found.items():
            _refuse_tabs(told, parts[part])
    return Entry(
        name=name,
        title=f"Text in {place}",
        kind="original",
        splits={part: len(told) for part, told in found.items()},
        shape=(),
        classes=classes,
        format="text",
        terms="Your own.",
        files=tuple(StoredFile(part, path.name, None, None) for part, path in parts.items()),
        lies_in=place,
    )


def _all_with_tab(found: Sequence[str], path: Path) -> bool:
    """Whether the lines have a label; UserError if only some have."""
    with_tab = ["\t" in line for line in found]
    if any(with_tab) and not all(with_tab):
        number, other = with_tab.index(False) + 1, with_tab.index(True) + 1
        raise UserError(
            f"{path}: line {number} has no tab, but line {other} has one; "
            "expected label<TAB>sentence in every line, or no tab in any"
        )
    return all(with_tab)


def _refuse_tabs(found: Sequence[str], path: Path) -> None:
    """UserError if a line has a label, where those of the training split have none."""
    for number, line in enumerate(found, start=1):
        if "\t" in line:
            raise UserError(
                f"{path}: line {number} has a tab, but no line of the training file has one; "
                "expected label<TAB>sentence in all files, or no tab in any"
            )


def labelled(found: Sequence[str], path: Path) -> tuple[list[str], list[str]]:
    """The labels and the sentences of lines `label<TAB>sentence`."""
    labels, sentences = [], []
    for number, line in enumerate(found, start=1):
        label, tab, sentence = line.partition("\t")
        if not tab or not label.strip() or not sentence.strip():
            what = "a label" if not tab or not label.strip() else "a sentence"
            raise UserError(
                f"{path}: line {number}: {what} is missing; expected label<TAB>sentence"
            )
        labels.append(label.strip())
        sentences.append(sentence.strip())
    return labels, sentences


def classes_of(labels: Sequence[str]) -> list[str]:
    """The labels there are, in order: of their values if they are numbers, else of the alphabet."""
    distinct = sorted(set(labels))
    numbers = all(re.fullmatch("-?[0-9]+", label) for label in distinct)
    return sorted(distinct, key=int) if numbers else distinct


def checked_content(entry: Entry, file: StoredFile, folder: Path) -> bytes:
    """The bytes of a file of the catalogue, whose checksum is held against the expected one."""
    path = stored_path(entry, file, folder)
    content = _content(path)
    expected, found = expected_sha256(entry, file, folder), hashlib.sha256(content).hexdigest()
    if expected not in (None, found):
        told = f"expected {named_sha256(file, expected)}, found {found}"
        mend = f"`{fetch_command(entry, folder)}` fetches it again"
        if entry.lies_in:
            told = f"it has changed since it was first used (sha256 {expected}, now {found})"
            mend = f"name the corpus anew, or delete {folder / entry.name} and the results on it"
        raise UserError(f"{path}: {told}; {mend}")
    if entry.lies_in and expected is None:
        with alone(folder / entry.name, lambda: None):
            record(entry, file, folder, found)
    return content


def checked_lines(entry: Entry, file: StoredFile, folder: Path) -> list[str]:
    """The lines of a file of the catalogue, whose checksum is held against the expected one."""
    return lines(checked_content(entry, file, folder), stored_path(entry, file, folder))


def lines(content: bytes, path: Path) -> list[str]:
    """The lines of a file of UTF-8, none of them empty; `path` is only named in errors."""
    found = decoded(content, path).removesuffix("\n").split("\n")
    for number, line in enumerate(found, start=1):
        if not line.strip():
            raise UserError(f"{path}: line {number} is empty; expected a sentence a line")
    return found


def decoded(content: bytes, path: Path) -> str:
    """The text of a file of UTF-8; `path` is only named in errors."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = error.object[: error.start].count(b"\n") + 1
        byte = error.object[error.start]
        raise UserError(f"{path}: line {number}: byte 0x{byte:02x} is not UTF-8") from error


def read(entry: Entry, folder: Path) -> dict[str, Corpus]:
    """The corpora of a data set that has a file a split: its parts are named as the splits are."""
    found: dict[str, tuple[list[str], list[str]]] = {}
    for file in entry.files:
        sentences = checked_lines(entry, file, folder)
        labels = [""] * len(sentences)
        if entry.classes:
            labels, sentences = labelled(sentences, stored_path(entry, file, folder))
        if len(sentences) != entry.splits[file.part]:
            raise UserError(
                f"{stored_path(entry, file, folder)}: {len(sentences):,} lines; "
                f"{entry.name} has {entry.splits[file.part]:,} in its {file.part} split"
            )
        found[file.part] = labels, sentences
    names = classes_of(found["train"][0])
    if entry.classes and len(names) != entry.classes:
        path = stored_path(entry, entry.file("train"), folder)
        raise UserError(f"{path}: {len(names)} labels; {entry.name} has {entry.classes} classes")
    corpora = {}
    for part, (labels, sentences) in found.items():
        path = stored_path(entry, entry.file(part), folder)
        corpora[part] = Corpus(sentences, _numbered(labels, names, path))
    return corpora


def _numbered(labels: Sequence[str], names: Sequence[str], path: Path) -> NDArray[np.int64]:
    """The places of labels among the names of the classes."""
    places = {name: place for place, name in enumerate(names)}
    for number, label in enumerate(labels, start=1):
        if label not in places:
            expected = ", ".join(names)
            raise UserError(
                f"{path}: line {number}: label {label!r}; expected one of those of the "
                f"training file: {expected}"
            )
    return np.array([places[label] for label in labels], np.int64)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
