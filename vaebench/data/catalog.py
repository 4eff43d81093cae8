"""What data sets there are: their files, where those come from and how they are known to be right.

A new data set is one entry here. Every checksum stands for bytes that were verified against the
published ones; where that was not possible it is None, and the store records the first it meets.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from vaebench.errors import unknown

Kind = Literal["original", "derived", "stand-in"]


@dataclass(frozen=True)
class Archive:
    """A zip, tar or tar.gz file of which some members are wanted; it goes when they are there.

    `mirrors` and `aliases` are as those of a file.
    """

    name: str
    mirrors: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class StoredFile:
    """One file of a data set, as it lies in the store: decompressed.

    `part` says what it holds (`train-images`). `size` [bytes] and `sha256` are those of the
    decompressed file; `mirrors` are URLs of the file, mostly gzip-compressed, in order of trial;
    `aliases` are other names it goes by where a user may already have it. Instead of
    having mirrors it may be the `member` of that path in an archive, not compressed once more. An
    archive that is wanted whole is a file like any other.
    """

    part: str
    name: str
    size: int | None
    sha256: str | None
    mirrors: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    archive: Archive | None = None
    member: str = ""

    @property
    def source(self) -> "Source":
        """What is downloaded to get it."""
        return self.archive or self


Source = StoredFile | Archive


@dataclass(frozen=True)
class Entry:
    """A data set. `shape` is that of one example; `folders` are usual places of its files."""

    name: str
    title: str
    kind: Kind
    splits: Mapping[str, int]
    shape: tuple[int, ...]
    classes: int
    terms: str
    files: tuple[StoredFile, ...] = ()
    folders: tuple[str, ...] = field(default=())

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


def lookup(name: str) -> Entry:
    """The entry of this name; a UserError with the nearest names if there is none."""
    if name not in CATALOG:
        raise unknown("data set", name, CATALOG)
    return CATALOG[name]


def _idx_files(
    mirrors: tuple[str, ...], sha256: Mapping[str, str | None]
) -> tuple[StoredFile, ...]:
    """The four files of MNIST and its like: 60,000 and 10,000 images of 28x28 bytes, and labels."""
    layout = {
        "train-images": ("train-images-idx3-ubyte", 16 + 60_000 * 28 * 28),
        "train-labels": ("train-labels-idx1-ubyte", 8 + 60_000),
        "test-images": ("t10k-images-idx3-ubyte", 16 + 10_000 * 28 * 28),
        "test-labels": ("t10k-labels-idx1-ubyte", 8 + 10_000),
    }
    return tuple(
        StoredFile(
            part=part,
            name=name,
            size=size,
            sha256=sha256[part],
            mirrors=tuple(f"{mirror}{name}.gz" for mirror in mirrors),
            aliases=(name.replace("-idx", ".idx"),),
        )
        for part, (name, size) in layout.items()
    )


_MNIST = Entry(
    name="mnist",
    title="MNIST handwritten digits, 28x28 grey",
    kind="original",
    splits={"train": 60_000, "test": 10_000},
    shape=(1, 28, 28),
    classes=10,
    terms=(
        "By Y. LeCun, C. Cortes and C. Burges, made from NIST Special Databases 1 and 3. "
        "Distributed without a licence text; commonly quoted as CC BY-SA 3.0."
    ),
    files=_idx_files(
        mirrors=(
            "https://ossci-datasets.s3.amazonaws.com/mnist/",
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            "https://yann.lecun.com/exdb/mnist/",
        ),
        sha256={
            "train-images": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "train-labels": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "test-images": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "test-labels": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        },
    ),
    folders=("mnist", "MNIST/raw", "MNIST", "raw"),
)

_FASHION_MNIST = Entry(
    name="fashion-mnist",
    title="Fashion-MNIST clothing, 28x28 grey",
    kind="original",
    splits={"train": 60_000, "test": 10_000},
    shape=(1, 28, 28),
    classes=10,
    terms="MIT License, copyright 2017 Zalando SE.",
    files=_idx_files(
        mirrors=(
            "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
            "https://storage.googleapis.com/tensorflow/tf-keras-datasets/",
        ),
        sha256={
            "train-images": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
            "train-labels": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
            "test-images": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
            "test-labels": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
        },
    ),
    folders=("fashion-mnist", "FashionMNIST/raw", "FashionMNIST", "raw"),
)

_DIGITS = Entry(
    name="digits-28x28",
    title="scikit-learn's 8x8 digits, enlarged to 28x28",
    kind="stand-in",
    splits={"train": 1_500, "test": 297},
    shape=(1, 28, 28),
    classes=10,
    terms=(
        "Test part of the UCI data set 'Optical Recognition of Handwritten Digits' by E. Alpaydin "
        "and C. Kaynak, shipped with scikit-learn (CC BY 4.0)."
    ),
)

CATALOG: dict[str, Entry] = {entry.name: entry for entry in (_MNIST, _FASHION_MNIST, _DIGITS)}
