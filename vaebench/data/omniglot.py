"""OMNIGLOT at 28x28: Burda's file of grey images, or the original drawings, made smaller."""

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from vaebench.data import draws
from vaebench.data.assets import Entry
from vaebench.data.checksums import require_good
from vaebench.data.folder import fetch_command, stored_path
from vaebench.errors import UserError

Array = NDArray[Any]
Bytes = NDArray[np.uint8]
Index = NDArray[np.int64]
_Arrays = Mapping[str, Array]

# The alphabets with their numbers of characters, as the numbers of the original characters run
# through them: 1 to 964 in the background set, 965 to 1,623 in the evaluation set.
ALPHABETS: Mapping[str, Mapping[str, int]] = {
    "background": {
        "Arcadian": 26,
        "Armenian": 41,
        "Asomtavruli_(Georgian)": 40,
        "Balinese": 24,
        "Bengali": 46,
        "Blackfoot_(Canadian_Aboriginal_Syllabics)": 14,
        "Braille": 26,
        "Cyrillic": 33,
        "Early_Aramaic": 22,
        "Syriac_(Estrangelo)": 23,
        "Anglo-Saxon_Futhorc": 29,
        "Futurama": 26,
        "Grantha": 43,
        "Greek": 24,
        "Gujarati": 48,
        "Hebrew": 22,
        "Japanese_(hiragana)": 52,
        "Inuktitut_(Canadian_Aboriginal_Syllabics)": 16,
        "Malay_(Jawi_-_Arabic)": 40,
        "Japanese_(katakana)": 47,
        "Korean": 40,
        "Latin": 26,
        "Alphabet_of_the_Magi": 20,
        "Mkhedruli_(Georgian)": 41,
        "Burmese_(Myanmar)": 34,
        "N_Ko": 33,
        "Ojibwe_(Canadian_Aboriginal_Syllabics)": 14,
        "Sanskrit": 42,
        "Tagalog": 17,
        "Tifinagh": 55,
    },
    "evaluation": {
        "Angelic": 20,
        "Atemayar_Qelisayer": 26,
        "Atlantean": 26,
        "Aurek-Besh": 26,
        "Avesta": 26,
        "Ge_ez": 26,
        "Glagolitic": 45,
        "Gurmukhi": 45,
        "Kannada": 41,
        "Keble": 26,
        "Malayalam": 47,
        "Manipuri": 40,
        "Mongolian": 30,
        "Old_Church_Slavonic_(Cyrillic)": 45,
        "Oriya": 46,
        "Syriac_(Serto)": 23,
        "Sylheti": 28,
        "Tengwar": 25,
        "Tibetan": 42,
        "ULOG": 26,
    },
}
DRAWERS = 20
_DRAWN, _SIDE = 105, 28
_SPLIT_SEED = 20_260_113
_LEFT_OUT_SEED = 20_260_114
# Grey by covered area, of which a whole pixel has 225: 255 / 225 of it, rounded half up.
_GREY = ((34 * np.arange(226) + 15) // 30).astype(np.uint8)


def read_chardata(entry: Entry, folder: Path) -> dict[str, Array]:
    """The parts from Burda's file: images uint8 [N,28,28], labels [N] and class-groups.

    Its images are columns [784,N] in [0, 1], an image's columns one after the other. An alphabet
    is one-hot [A,N], a character [1,N] is a number within its alphabet; the label numbers the
    characters of all alphabets, from 0.
    """
    require_good(entry, folder)
    file = _File(entry, folder, "chardata")
    train, test = _burda(file, "train", ""), _burda(file, "test", "test")
    alphabets, characters = (np.concatenate(both) for both in zip(train[1:], test[1:], strict=True))
    characters -= characters.min()  # they may count from 0 or from 1
    span = characters.max() + 1
    numbers, labels = np.unique(alphabets * span + characters, return_inverse=True)
    if len(numbers) != entry.classes:
        file.refuse(f"expected {entry.classes:,} characters, found {len(numbers):,}")
    return {
        "train-images": train[0],
        "train-labels": labels[: len(train[0])],
        "test-images": test[0],
        "test-labels": labels[len(train[0]) :],
        "class-groups": numbers // span,
    }


def read_drawings(entry: Entry, folder: Path) -> dict[str, Array]:
    """The parts from the original drawings: images uint8 [N,28,28], labels [N] and class-groups.

    Every character has 15 of its 20 drawings among the training images. Of the others a draw is
    left out of the test images, so that there are as many of both as in Burda's file.
    """
    require_good(entry, folder)
    images = np.concatenate([_resized(_File(entry, folder, part)) for part in ALPHABETS])
    labels = np.repeat(np.arange(entry.classes), DRAWERS)
    train = draws.balanced(labels, entry.splits["train"], _SPLIT_SEED)
    others = np.delete(np.arange(len(labels)), train)
    test = others[draws.drawn(len(others), entry.splits["test"], _LEFT_OUT_SEED)]
    counts = [count for alphabets in ALPHABETS.values() for count in alphabets.values()]
    return {
        "train-images": images[train],
        "train-labels": labels[train],
        "test-images": images[test],
        "test-labels": labels[test],
        "class-groups": np.repeat(np.arange(len(counts)), counts),
    }


def small(ink: NDArray[np.bool_]) -> Bytes:
    """Drawings [...,105,105] as white ink on black, uint8 [...,28,28]: the mean of each area.

    A new pixel is 15 quarters of an old one wide and high. float32 holds these sums of integers
    exactly, in whatever order they are taken.
    """
    new, old = np.arange(_SIDE)[:, None] * 15, np.arange(_DRAWN) * 4
    overlap = np.minimum(new + 15, old + 4) - np.maximum(new, old)
    quarters = np.maximum(overlap, 0).astype(np.float32)
    areas = quarters @ ink.astype(np.float32) @ quarters.T
    grey: Bytes = _GREY[areas.astype(np.uint8)]
    return grey


class _File:
    """A file of the data set. Whatever is wrong with it is a UserError that says how to mend it."""

    def __init__(self, entry: Entry, folder: Path, part: str) -> None:
        self.entry, self.part = entry, part
        self._path = stored_path(entry, entry.file(part), folder)
        # With the folder goes the record of the checksum that these very bytes had.
        fetch = fetch_command(entry, folder)
        self._mend = f"delete {self._path.parent}, and `{fetch}` fetches it again"

    def arrays(self, load: Callable[[Path], Mapping[str, Any]], names: Collection[str]) -> _Arrays:
        """The arrays of these names."""
        try:
            found = load(self._path)
            arrays = {name: np.asarray(found[name]) for name in names if name in found}
        except Exception as error:  # on damaged bytes the readers raise whatever comes
            self.refuse(f"cannot be read ({error})")
        for name in names:
            if name not in arrays:
                self.refuse(f"has no {name}")
        return arrays

    def expect(self, name: str, array: Array, kinds: str, shape: tuple[int, ...]) -> None:
        """Refuse an array of another shape, or of another kind of numbers."""
        if array.dtype.kind not in kinds or array.shape != shape:
            found = f"{_times(array.shape)} of {array.dtype}"
            self.refuse(f"its {name}: expected {_times(shape)}, found {found}")

    def refuse(self, why: str) -> NoReturn:
        raise UserError(f"{self._path}: {why}; {self._mend}")


def _burda(file: _File, split: str, prefix: str) -> tuple[Bytes, Index, Index]:
    """The images [N,28,28], alphabets [N] and characters [N] of a split of Burda's file."""
    from scipy.io import loadmat

    names = [f"{prefix}{name}" for name in ("data", "target", "targetchar")]
    found = file.arrays(lambda path: loadmat(path, appendmat=False, variable_names=names), names)
    size, alphabets = file.entry.splits[split], max(found[names[1]].shape[:1], default=0)
    for name, rows in zip(names, (_SIDE * _SIDE, alphabets, 1), strict=True):
        file.expect(name, found[name], "buif", (rows, size))
    pixels, alphabet, character = (found[name].astype(np.float64, copy=False) for name in names)
    if not (pixels.min() >= 0 and pixels.max() <= 1):  # so that it refuses nan
        file.refuse(f"its {names[0]}: expected grey values from 0 to 1")
    if not (np.isin(alphabet, (0, 1)).all() and (alphabet.sum(0) == 1).all()):
        file.refuse(f"its {names[1]}: expected a single 1 in every column, else 0")
    if not np.isin(character, np.arange(file.entry.classes + 1)).all():
        file.refuse(f"its {names[2]}: expected whole numbers")
    columns = np.floor(pixels.T * 255 + 0.5).astype(np.uint8)
    images = columns.reshape(size, _SIDE, _SIDE).swapaxes(1, 2)
    return np.ascontiguousarray(images), alphabet.argmax(0), character[0].astype(np.int64)


def _resized(file: _File) -> Bytes:
    """The drawings of a file [20 n,28,28]: character by character, then drawer by drawer."""

    def load(path: Path) -> Mapping[str, Any]:
        with np.load(path, allow_pickle=False) as archive:
            return {"images": archive["images"]} if "images" in archive else {}

    paper = file.arrays(load, ["images"])["images"]
    characters = sum(ALPHABETS[file.part].values())
    file.expect("images", paper, "b", (characters, DRAWERS, _DRAWN, _DRAWN))
    return np.concatenate([small(~drawings) for drawings in paper])


def _times(sizes: tuple[int, ...]) -> str:
    return "x".join(map(str, sizes))
