"""What a data set or a trained network is on disk: its files, and where they come from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Kind = Literal["original", "derived", "stand-in"]
Format = Literal[
    "idx",
    "celeba",
    "records",
    "chardata",
    "drawings",
    "text",
    "topics",
    "sentiment",
    "reviews",
    "books",
    "abstracts",
    "pieces",
    "questions",
    "openings",
    "hypotheses",
    "words of hypotheses",
]


@dataclass(frozen=True)
class Archive:
    """A zip, tar or tar.gz file of which some members are wanted; it goes when they are there.

    `mirrors` and `aliases` are as those of a file; `arrays` are the names of npz files, where users
    may have such ones, from whose arrays the same members can be made.
    """

    name: str
    mirrors: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    arrays: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """What it may be called where a user has it, in order of trial."""
        return (self.name, *self.aliases, *self.arrays)


@dataclass(frozen=True)
class StoredFile:
    """One file of a data set or of weights, as it lies in the store: decompressed.

    `part` says what it holds (`train-images`). `size` [bytes] and `sha256` are those of the
    decompressed file; `mirrors` are URLs of the file, mostly gzip-compressed, in order of trial;
    `aliases` are other names it goes by where a user may already have it. Instead of
    having mirrors it may be the `member` of that path in an archive, not compressed once more. An
    archive that is wanted whole is a file like any other. `beginning`: it is the first `size` bytes
    of what is found under these names.
    """

    part: str
    name: str
    size: int | None
    sha256: str | None
    mirrors: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    archive: Archive | None = None
    member: str = ""
    beginning: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """What it may be called where a user has it, in order of trial."""
        return (self.name, *self.aliases)

    @property
    def source(self) -> "Source":
        """What is downloaded to get it."""
        return self.archive or self


Source = StoredFile | Archive


@dataclass(frozen=True, kw_only=True)
class Asset:
    """What is fetched under one name. `folders` are usual places of its files where a user has
    them already, `by_hand` says where to get them if no mirror gives them, and `refused` which
    files that look like them are not read, and why. What `lies_in` a folder of the user's stays
    there."""

    name: str
    title: str
    terms: str
    files: tuple[StoredFile, ...] = ()
    folders: tuple[str, ...] = ()
    by_hand: str = ""
    refused: Mapping[str, str] = field(default_factory=dict)
    lies_in: Path | None = None

    @property
    def made_in_code(self) -> bool:
        """Whether it comes without files: nothing to fetch."""
        return not self.files

    @property
    def size(self) -> int:
        """Bytes on disk, as far as they are known beforehand."""
        return sum(file.size or 0 for file in self.files)

    @property
    def sources(self) -> dict[Source, list[StoredFile]]:
        """What is to be downloaded, each with the files that it gives."""
        sources: dict[Source, list[StoredFile]] = {}
        for file in self.files:
            sources.setdefault(file.source, []).append(file)
        return sources

    def file(self, part: str) -> StoredFile:
        """The file that holds this part."""
        return next(file for file in self.files if file.part == part)


@dataclass(frozen=True, kw_only=True)
class Entry(Asset):
    """A data set. `shape` (C,H,W) is that of one example, () that of text.

    Its labels are one of `classes`, or `attributes` of 0 or 1; the other of these is 0. Figures
    call classes by `class_names`, if there are any, else by their numbers. `format` says how its
    files are read. `in_order_of_class`: the last training images are of few classes. `words` are
    the vocabulary of text that brings its own.
    """

    kind: Kind
    splits: Mapping[str, int]
    shape: tuple[int, ...]
    classes: int = 0
    class_names: tuple[str, ...] = ()
    attributes: int = 0
    format: Format = "idx"
    in_order_of_class: bool = False
    words: tuple[str, ...] = ()

    @property
    def is_text(self) -> bool:
        """Whether its examples are sentences."""
        return not self.shape


@dataclass(frozen=True, kw_only=True)
class Weights(Asset):
    """A trained network that an evaluator needs, in one file."""
