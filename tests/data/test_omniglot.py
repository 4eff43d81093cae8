"""OMNIGLOT: Burda's file in small, the drawings in small, and the real ones where they are."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.io import savemat

from vaebench.cli import main
from vaebench.data import omniglot
from vaebench.data.catalog import CATALOG, lookup
from vaebench.data.checksums import recorded
from vaebench.data.loading import load
from vaebench.errors import UserError
from vaebench.registry.runs import DataView

rng = np.random.Generator(np.random.PCG64(0))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("VAEBENCH_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def same(images, expected):
    return np.array_equal(images.numpy(), np.asarray(expected)[:, None])


# Burda's file: three alphabets of 2, 3 and 1 characters, in mixed order.

CHARACTERS = [(0, 0), (0, 1), (1, 0), (1, 1), (1, 2), (2, 0)]
ORDER = {"": [5, 0, 3, 2, 1, 4, 4, 0, 2, 5, 3, 1], "test": [4, 2, 2, 0, 1, 3, 5]}
GREY = {
    prefix: rng.integers(0, 256, (len(order), 28, 28)).astype(np.uint8)
    for prefix, order in ORDER.items()
}
BURDA = DataView(dataset="omniglot")


def chardata(base=1):
    """The fields of the file; characters count from `base`."""
    fields = {}
    for prefix, order in ORDER.items():
        columns = [[image[r, c] for c in range(28) for r in range(28)] for image in GREY[prefix]]
        target = np.zeros((3, len(order)))
        for column, label in enumerate(order):
            target[CHARACTERS[label][0], column] = 1
        fields[f"{prefix}data"] = np.array(columns).T / 255
        fields[f"{prefix}target"] = target
        fields[f"{prefix}targetchar"] = np.array([[CHARACTERS[n][1] + base for n in order]])
    return fields


def packed(fields, **how):
    buffer = io.BytesIO()
    savemat(buffer, fields, **how)
    return buffer.getvalue()


@pytest.fixture
def put(folder, monkeypatch):
    """Lays a small file of Burda's into the data folder."""
    entry = replace(lookup("omniglot"), splits={"train": 12, "test": 7}, classes=6)
    monkeypatch.setitem(CATALOG, "omniglot", entry)

    def write(content):
        path = folder / "omniglot" / "chardata.mat"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    return write


@pytest.mark.parametrize("base", [0, 1])
@pytest.mark.parametrize("compressed", [False, True])
def test_burdas_file_is_read(put, folder, base, compressed):
    put(packed(chardata(base), do_compression=compressed))
    data = load(BURDA, folder)
    assert same(data.train.images, GREY[""]) and same(data.test.images, GREY["test"])
    assert data.train.labels.tolist() == ORDER[""]
    assert data.test.labels.tolist() == ORDER["test"]
    assert data.class_groups.tolist() == [alphabet for alphabet, _ in CHARACTERS]
    assert (data.info.kind, data.info.classes) == ("original", 6)


def test_grey_values_are_rounded_half_up(put, folder):
    fields = chardata()
    fields["data"][:8, 0] = [0, 0.5, 1, 0.3 / 255, 0.5 / 255, 0.7 / 255, 254.4 / 255, 254.6 / 255]
    put(packed(fields))
    column = load(BURDA, folder).train.images[0, 0, :8, 0]
    assert column.tolist() == [0, 128, 255, 0, 1, 1, 254, 255]


def test_whole_numbers_will_do(put, folder):
    """MATLAB saves what is whole as integers, and 0 and 1 as logical where it was computed so."""
    fields = chardata()
    fields["data"] = fields["data"] > 0.5
    fields["target"] = fields["target"].astype(np.uint8)
    put(packed(fields))
    data = load(BURDA, folder)
    assert same(data.train.images, np.where(GREY[""] > 127, 255, 0))
    assert data.train.labels.tolist() == ORDER[""]


def changed(name, change):
    def make():
        fields = chardata()
        fields[name] = change(fields[name].copy())
        return packed(fields)

    return make


ONES = {f"{prefix}targetchar": np.ones((1, len(order))) for prefix, order in ORDER.items()}


def without(name):
    return lambda: packed({key: value for key, value in chardata().items() if key != name})


def with_value(value):
    def change(array):
        array = array.astype(np.float64)
        array[0, 3] = value
        return array

    return change


def other_bytes(at):
    def make():
        content = bytearray(packed(chardata(), do_compression=True))
        content[at] ^= 0xFF
        return bytes(content)

    return make


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: b"", "cannot be read ("),
        (lambda: b"<html>404</html>" * 20, "cannot be read ("),
        (lambda: b"version https://git-lfs.github.com/spec/v1\n", "cannot be read ("),
        (lambda: packed(chardata())[:5_000], "cannot be read ("),
        (lambda: packed(chardata(), do_compression=True)[:5_000], "cannot be read ("),
        (other_bytes(3_000), "cannot be read ("),
        (lambda: b"\0" * 124 + b"\x00\x02IM" + b"\0" * 400, "cannot be read ("),  # version 7.3
        (without("targetchar"), "has no targetchar"),
        (without("testdata"), "has no testdata"),
        (
            changed("data", lambda a: a[:-1]),
            "its data: expected 784x12, found 783x12 of float64",
        ),
        (
            changed("data", lambda a: a[:, :-1]),
            "its data: expected 784x12, found 784x11 of float64",
        ),
        (
            changed("data", lambda a: a + 1j),
            "its data: expected 784x12, found 784x12 of complex128",
        ),
        (changed("data", lambda a: "text"), "its data: expected 784x12, found 1 of <U4"),
        (changed("testtarget", lambda a: a.T), "its testtarget: expected 7x7, found 7x3 of"),
        (changed("target", lambda a: a[0, 0]), "its target: expected 1x12, found 1x1 of float64"),
        (changed("data", with_value(1.01)), "its data: expected grey values from 0 to 1"),
        (changed("data", with_value(-0.01)), "its data: expected grey values from 0 to 1"),
        (changed("testdata", with_value(np.nan)), "its testdata: expected grey values from 0 to 1"),
        (changed("data", lambda a: a * 255), "its data: expected grey values from 0 to 1"),
        (changed("target", with_value(1)), "its target: expected a single 1 in every column"),
        (changed("target", with_value(0.5)), "its target: expected a single 1 in every column"),
        (changed("target", np.zeros_like), "its target: expected a single 1 in every column"),
        (changed("targetchar", with_value(1.5)), "its targetchar: expected whole numbers"),
        (changed("targetchar", with_value(np.nan)), "its targetchar: expected whole numbers"),
        (changed("targetchar", with_value(1e18)), "its targetchar: expected whole numbers"),
        (changed("targetchar", with_value(4)), "expected 6 characters, found 7"),
        (lambda: packed(chardata() | ONES), "expected 6 characters, found 3"),
    ],
)
def test_damage_of_burdas_file_is_told(put, folder, make, why):
    path = put(make())
    with pytest.raises(UserError) as caught:
        load(BURDA, folder)
    told = str(caught.value)
    assert told.startswith(f"{path}: {why}")
    assert told.endswith(
        f"; delete {path.parent}, and `vaebench fetch-data omniglot` fetches it again"
    )


def test_burdas_file_is_imported_and_its_checksum_recorded(put, folder, tmp_path, capsys):
    (tmp_path / "mine" / "omniglot").mkdir(parents=True)
    given = tmp_path / "mine" / "omniglot" / "chardata.mat"
    given.write_bytes(packed(chardata()))
    with pytest.raises(SystemExit) as caught:
        main(["fetch-data", "omniglot", "--from", str(tmp_path / "mine")])
    assert caught.value.code == 0
    assert "omniglot/chardata.mat: unverified" in capsys.readouterr().err
    assert load(BURDA, folder).test.labels.tolist() == ORDER["test"]
    (known,) = recorded(lookup("omniglot"), folder).values()
    path = put(packed(chardata(), do_compression=True))
    with pytest.raises(UserError) as told:
        load(BURDA, folder)
    assert str(told.value).startswith(f"{path}: expected sha256 {known} (recorded on first use")


def test_what_burdas_file_is_missing_of(put, folder):
    with pytest.raises(UserError, match=f"^the data set omniglot is not in {folder}\n"):
        load(BURDA, folder)


# The drawings made smaller.


def bitmaps(count, seed=0):
    """Blots of 1 to 20 pixels' width, some over the border."""
    draw = np.random.Generator(np.random.PCG64(seed))
    ink = np.zeros((count, 105, 105), bool)
    for image in ink:
        for y, x, height, width in draw.integers(1, [105, 105, 20, 20], (25, 4)):
            image[y : y + height, x : x + width] ^= True
    return ink


def quartered(ink):
    """Every pixel as 4x4, so that a new pixel is 15x15 of these."""
    return ink.repeat(4, 1).repeat(4, 2)


def test_small_is_the_mean_over_the_area():
    ink = bitmaps(12)
    areas = quartered(ink).reshape(-1, 28, 15, 28, 15).sum((2, 4), dtype=np.int64)
    assert len(np.unique(areas)) > 100
    np.testing.assert_array_equal(omniglot.small(ink), (2 * 255 * areas + 225) // 450)


def test_small_is_pillows_box():
    """Pillow's own box filter takes whole pixels, so it gets a whole number of them."""
    ink = bitmaps(12)
    for image, large in zip(omniglot.small(ink), quartered(ink), strict=True):
        whole = Image.fromarray(np.where(large, 255, 0).astype(np.uint8))
        box = np.asarray(whole.resize((28, 28), Image.Resampling.BOX))
        assert abs(image.astype(int) - box).max() <= 1


def test_small_keeps_what_is_constant():
    assert (omniglot.small(np.ones((2, 105, 105), bool)) == 255).all()
    assert (omniglot.small(np.zeros((105, 105), bool)) == 0).all()


def test_alphabets_are_fifty():
    sizes = {part: sum(alphabets.values()) for part, alphabets in omniglot.ALPHABETS.items()}
    assert sizes == {"background": 964, "evaluation": 659}
    names = [name for alphabets in omniglot.ALPHABETS.values() for name in alphabets]
    assert len(set(names)) == len(names) == 50
    assert [file.part for file in lookup("omniglot-derived").files] == list(sizes)


# The drawings in small: two alphabets in the one file, one in the other; five characters in all.

SMALL = {"background": {"A": 2, "B": 1}, "evaluation": {"C": 2}}
DRAWINGS = bitmaps(100, seed=1).reshape(5, 20, 105, 105)
DERIVED = DataView(dataset="omniglot-derived")


def npz(**arrays):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)
    return buffer.getvalue()


@pytest.fixture
def drawings(folder, monkeypatch):
    """Lays small files of drawings into the data folder."""
    entry = lookup("omniglot-derived")
    files = tuple(replace(file, size=None, sha256=None) for file in entry.files)
    entry = replace(entry, files=files, splits={"train": 75, "test": 22}, classes=5)
    monkeypatch.setitem(CATALOG, "omniglot-derived", entry)
    monkeypatch.setattr(omniglot, "ALPHABETS", SMALL)

    def write(**contents):
        given = {
            "background": npz(images=~DRAWINGS[:3]),
            "evaluation": npz(images=~DRAWINGS[3:]),
            **contents,
        }
        for part, content in given.items():
            path = folder / "omniglot-derived" / f"images_{part}.npz"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    return write


def test_drawings_become_two_splits(drawings, folder):
    drawings()
    data = load(DERIVED, folder)
    assert (data.info.kind, data.info.classes) == ("derived", 5)
    assert data.class_groups.tolist() == [0, 0, 1, 2, 2]
    known = {
        omniglot.small(drawing).tobytes(): (character, drawer)
        for character, drawers in enumerate(DRAWINGS)
        for drawer, drawing in enumerate(drawers)
    }
    assert len(known) == 100
    places = {}
    for name, split in (("train", data.train), ("test", data.test)):
        places[name] = [known[image.numpy().tobytes()] for image in split.images]
        assert [character for character, _ in places[name]] == split.labels.tolist()
        assert places[name] == sorted(places[name])
    assert len(set(places["train"]) | set(places["test"])) == 75 + 22
    assert data.train.labels.bincount().tolist() == [15] * 5
    assert data.test.labels.bincount().max() == 5
    drawers = [{d for c, d in places["train"] if c == character} for character in range(5)]
    assert any(drawer != drawers[0] for drawer in drawers)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "cannot be read ("),
        (b"PK torn", "cannot be read ("),
        (npz(images=~DRAWINGS[3:])[:2_000], "cannot be read ("),
        (npz(images=np.array([{}])), "cannot be read (Object arrays cannot be loaded"),
        (npz(image=~DRAWINGS[3:]), "has no images"),
        (
            npz(images=~DRAWINGS[3:4]),
            "its images: expected 2x20x105x105, found 1x20x105x105 of bool",
        ),
        (
            npz(images=DRAWINGS[3:].astype(np.uint8)),
            "its images: expected 2x20x105x105, found 2x20x105x105 of uint8",
        ),
    ],
)
def test_damage_of_the_drawings_is_told(drawings, folder, content, why):
    drawings(evaluation=content)
    with pytest.raises(UserError) as caught:
        load(DERIVED, folder)
    place = folder / "omniglot-derived"
    told = str(caught.value)
    assert told.startswith(f"{place / 'images_evaluation.npz'}: {why}")
    assert told.endswith(
        f"; delete {place}, and `vaebench fetch-data omniglot-derived` fetches it again"
    )


def test_drawings_are_checked_first(drawings, folder, monkeypatch):
    entry = CATALOG["omniglot-derived"]
    drawings()
    real = lookup("omniglot-derived").files
    files = tuple(replace(file, sha256="0" * 64) for file in real)
    monkeypatch.setitem(CATALOG, "omniglot-derived", replace(entry, files=files))
    with pytest.raises(UserError) as caught:
        load(DERIVED, folder)
    path = folder / "omniglot-derived" / "images_background.npz"
    assert str(caught.value).startswith(f"{path}: expected sha256 {'0' * 64}, found sha256 ")
    assert str(caught.value).endswith("; `vaebench fetch-data omniglot-derived` fetches it again")


# The real drawings.


@pytest.fixture(scope="module")
def real(omniglot_dir):
    view = DataView(dataset="omniglot-derived", pixels="binary", held_out=2_000)
    return load(view, omniglot_dir)


@pytest.mark.real_data
def test_sizes_are_those_of_the_papers(real):
    assert real.info.train_size == len(real.train) == 22_345
    assert real.info.validation_size == len(real.validation) == 2_000
    assert real.info.test_size == len(real.test) == 8_070


@pytest.mark.real_data
def test_every_character_is_drawn_fifteen_times_for_training(real):
    labels = torch.cat([real.train.labels, real.validation.labels])
    assert labels.bincount().tolist() == [15] * 1_623
    tests = real.test.labels.bincount(minlength=1_623)
    assert tests.max() == 5 and (5 - tests).sum() == 45
    assert real.class_groups.bincount()[[0, 30, 49]].tolist() == [26, 20, 26]


@pytest.mark.real_data
def test_the_real_drawings_are_what_they_were(real):
    assert real.train.images.double().mean() / 255 == pytest.approx(0.0805, abs=5e-5)
    assert real.sha256 == "1b1312bf8b0429fbf0edc1bc3f9665a1b2708ab18297a55d876529703d52a91e"
