"""CelebA in small: eleven jpg files in a zip, with its two text files."""

import io
import shutil
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import numpy as np
import pytest
import torch
from packing import zipped
from PIL import Image
from rich.console import Console
from rich.progress import Progress
from torchvision.transforms import CenterCrop, Compose, PILToTensor, Resize

from vaebench.cli import fetch_data, main
from vaebench.data import celeba
from vaebench.data.assets import Entry, StoredFile
from vaebench.data.catalog import CATALOG, lookup
from vaebench.data.loading import load
from vaebench.errors import UserError
from vaebench.registry.runs import DataView

VIEW = DataView(dataset="small-celeba")
SPLITS = {"train": 6, "validation": 2, "test": 3}
NAMES = [f"{number:06}.jpg" for number in range(1, 12)]
# Not in the order of the names, as the real file is, so that the order of each file matters.
SPLIT_OF = dict(zip(NAMES, [0, 0, 2, 0, 1, 0, 2, 2, 1, 0, 0], strict=True))
ATTRIBUTES = ("Bald", "Smiling", "Young")


def jpg(seed, size=(178, 218), mode="RGB"):
    """Colours that vary smoothly and a little noise, as in a photograph."""
    rng = np.random.Generator(np.random.PCG64(seed))
    coarse = Image.fromarray(rng.integers(0, 256, (9, 8, 3), np.uint8))
    pixels = np.asarray(coarse.resize(size, Image.Resampling.BICUBIC)).astype(int)
    noisy = np.clip(pixels + rng.integers(-9, 10, pixels.shape), 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noisy).convert(mode).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def text(lines):
    return "".join(f"{line}\r\n" for line in lines).encode()


class Small:
    """The files of a small CelebA; a test may change them before they are laid down."""

    def __init__(self):
        rng = np.random.Generator(np.random.PCG64(7))
        self.labels = {name: rng.integers(0, 2, len(ATTRIBUTES)) for name in NAMES}
        self.images = {f"img_align_celeba/{name}": jpg(i) for i, name in enumerate(NAMES)}
        self.partition = [f"{name} {split}" for name, split in SPLIT_OF.items()]
        rows = [
            f"{name}  " + " ".join(f"{2 * value - 1:2}" for value in self.labels[name])
            for name in NAMES
        ]
        self.attributes = [str(len(rows)), " ".join(ATTRIBUTES), *rows]

    def contents(self):
        """Every file by its name."""
        return {
            "img_align_celeba.zip": zipped(self.images),
            "list_eval_partition.txt": text(self.partition),
            "list_attr_celeba.txt": text(self.attributes),
        }

    def put(self, folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self.contents().items():
            (folder / name).write_bytes(content)

    def entry(self, verified=True):
        contents = self.contents()
        files = tuple(
            StoredFile(
                part=file.part,
                name=file.name,
                size=len(contents[file.name]) if verified else None,
                sha256=sha256(contents[file.name]).hexdigest() if verified else None,
            )
            for file in lookup("celeba").files
        )
        return Entry(
            name="small-celeba",
            title="A few made pictures",
            kind="stand-in",
            splits=SPLITS,
            shape=(3, 64, 64),
            attributes=len(ATTRIBUTES),
            format="celeba",
            terms="Made for tests.",
            files=files,
            folders=("celeba",),
            by_hand="Ask the tests for them.",
        )


@pytest.fixture
def small():
    return Small()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("VAEBENCH_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


@pytest.fixture
def stored(small, folder, monkeypatch):
    """Lays the files into the data folder as they are now, and tells the catalogue of them."""

    def store(verified=True):
        small.put(folder / "small-celeba")
        entry = small.entry(verified)
        monkeypatch.setitem(CATALOG, "small-celeba", entry)
        return entry

    return store


def independent(content):
    """What torchvision makes of a jpg: uint8 [3,64,64]."""
    made = Compose([CenterCrop(140), Resize((64, 64)), PILToTensor()])
    return made(Image.open(io.BytesIO(content)).convert("RGB"))


def names_of(split):
    number = list(SPLITS).index(split)
    return [name for name in NAMES if SPLIT_OF[name] == number]


def test_splits_images_and_attributes(small, stored, folder):
    stored()
    data = load(VIEW, folder)
    for split in SPLITS:
        found, names = getattr(data, split), names_of(split)
        assert found.images.dtype == torch.uint8 and found.labels.dtype == torch.int64
        expected = torch.stack([independent(small.images[f"img_align_celeba/{n}"]) for n in names])
        assert torch.equal(found.images, expected)
        assert found.labels.tolist() == [small.labels[name].tolist() for name in names]
    info = data.info
    assert (info.shape, info.classes, info.attributes) == ((3, 64, 64), 0, 3)
    assert (info.train_size, info.validation_size, info.test_size) == (6, 2, 3)


def test_the_crop_is_rows_39_to_178_and_columns_19_to_158():
    """Nothing outside of it is seen, and its corners are: pixels of value 0 around value 255."""
    pixels = np.zeros((218, 178, 3), np.uint8)
    pixels[39:179, 19:159] = 255
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=100, subsampling=0)
    assert celeba.small(buffer.getvalue(), 140).min() > 250
    outside = 255 - pixels
    buffer = io.BytesIO()
    Image.fromarray(outside).save(buffer, "JPEG", quality=100, subsampling=0)
    assert celeba.small(buffer.getvalue(), 140).max() < 5


def test_the_hash_is_that_of_the_tensors(stored, folder):
    stored()
    first = load(VIEW, folder)
    assert load(VIEW, folder).sha256 == first.sha256
    limited = load(VIEW.model_copy(update={"limit": 10}), folder)
    assert limited.info.train_size == 6 and limited.info.test_size == 2
    assert limited.sha256 != first.sha256


def test_arrays_are_made_once_and_mapped(stored, folder, monkeypatch):
    entry = stored()
    first = load(VIEW, folder)
    place = celeba.arrays_path(entry, folder)
    before = {path.name: path.stat().st_mtime_ns for path in place.iterdir()}
    monkeypatch.setattr(celeba, "small", None)
    assert load(VIEW, folder).sha256 == first.sha256
    assert {path.name: path.stat().st_mtime_ns for path in place.iterdir()} == before
    assert isinstance(celeba.read(entry, folder)["train-images"], np.memmap)


def test_what_is_written_to_a_tensor_stays_in_memory(stored, folder):
    stored()
    first = load(VIEW, folder)
    first.train.images.zero_()
    assert load(VIEW, folder).sha256 == first.sha256


def test_a_limit_reads_only_what_it_keeps(stored, folder):
    """Overwriting an image that is not kept leaves the view as it is."""
    entry = stored()
    view = VIEW.model_copy(update={"limit": 10})
    first = load(view, folder)
    place = celeba.arrays_path(entry, folder)
    stored_images = np.load(place / "test-images.npy", mmap_mode="r+")
    kept = {image.numpy().tobytes() for image in first.test.images}
    (other,) = [row for row in range(3) if stored_images[row].tobytes() not in kept]
    stored_images[other] = 0
    stored_images.flush()
    assert load(view, folder).sha256 == first.sha256
    assert not celeba.intact(place)


def test_another_zip_makes_other_arrays(small, stored, folder):
    old = celeba.arrays_path(stored(), folder)
    first = load(VIEW, folder)
    small.images["img_align_celeba/000001.jpg"] = jpg(99)
    new = celeba.arrays_path(stored(), folder)
    assert old != new and load(VIEW, folder).sha256 != first.sha256


def test_files_of_unknown_checksum_are_known_by_their_bytes(small, stored, folder):
    old = celeba.arrays_path(stored(verified=False), folder)
    load(VIEW, folder)
    small.attributes[2] = f"{NAMES[0]} 1 1 1"
    assert celeba.arrays_path(stored(verified=False), folder) != old
    assert load(VIEW, folder).train.labels[0].tolist() == [1, 1, 1]


@pytest.mark.parametrize("when", ["images", "hashes", "rename"])
def test_arrays_are_there_as_a_whole_or_not_at_all(stored, folder, monkeypatch, when):
    entry = stored()

    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    target = {"images": "small", "hashes": "write", "rename": "sync_folder"}[when]
    with monkeypatch.context() as patch:
        patch.setattr(celeba, target, stop)
        with pytest.raises(KeyboardInterrupt):
            celeba.prepare(entry, folder)
    place = celeba.arrays_path(entry, folder)
    left = {path.name for path in place.parent.iterdir()} - {".lock"}
    assert left == ({place.name} if when == "rename" else set())
    assert celeba.intact(celeba.prepare(entry, folder))


def test_what_a_kill_left_is_no_hindrance(stored, folder):
    entry = stored()
    place = celeba.arrays_path(entry, folder)
    new = place.with_name(f"{place.name}.new")
    new.mkdir(parents=True)
    (new / "train-images.npy").write_bytes(b"torn")
    load(VIEW, folder)
    assert celeba.intact(place) and not new.exists()


def test_two_at_once_make_them_once(stored, folder, monkeypatch):
    entry, make, made = stored(), celeba._make, []
    monkeypatch.setattr(celeba, "_make", lambda *args: (made.append(1), make(*args)))
    with ThreadPoolExecutor(4) as pool:
        places = list(pool.map(lambda _: celeba.prepare(entry, folder), range(4)))
    assert len(made) == 1 and set(places) == {celeba.arrays_path(entry, folder)}


def test_a_full_disk_is_said_plainly(stored, folder, monkeypatch):
    entry = stored()

    def full(*args, **kwargs):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("numpy.save", full)
    with pytest.raises(UserError) as caught:
        celeba.prepare(entry, folder)
    cache = folder / "small-celeba" / "cache"
    assert str(caught.value) == (
        f"{cache}: cannot be written (No space left on device); "
        "name another folder with --data-dir DIR or VAEBENCH_DATA"
    )


def test_progress_is_told_in_bytes(stored, folder):
    heard = []
    celeba.prepare(stored(), folder, lambda *count: heard.append(count))
    total = 11 * 3 * 64 * 64
    assert heard[0] == (0, total) and heard[-1] == (total, total)


def without(member):
    def change(small):
        del small.images[f"img_align_celeba/{member}"]

    return change


def with_image(content):
    def change(small):
        small.images["img_align_celeba/000004.jpg"] = content

    return change


def with_line(what, number, line):
    def change(small):
        getattr(small, what)[number - 1] = line

    return change


def png():
    buffer = io.BytesIO()
    Image.new("RGB", (178, 218)).save(buffer, "PNG")
    return buffer.getvalue()


PARTITION, ATTRIBUTE, ZIP = (
    "list_eval_partition.txt",
    "list_attr_celeba.txt",
    "img_align_celeba.zip",
)
MEMBER = "its img_align_celeba/000004.jpg is no picture of CelebA "


@pytest.mark.parametrize(
    ("change", "file", "why"),
    [
        (without("000004.jpg"), ZIP, "holds no img_align_celeba/000004.jpg"),
        (with_image(jpg(3)[:900]), ZIP, MEMBER + "(image file is truncated"),
        (with_image(b"no jpg"), ZIP, MEMBER + "(cannot identify image file"),
        (with_image(png()), ZIP, MEMBER + "(cannot identify image file"),
        (with_image(jpg(3, (64, 64))), ZIP, MEMBER + "(expected 178x218 pixels, found 64x64)"),
        (
            with_line("partition", 3, "000003.jpg 0"),
            PARTITION,
            "expected 6 train, 2 validation, 3 test, found 7 train, 2 validation, 2 test",
        ),
        (
            with_line("partition", 3, "000003.jpg 3"),
            PARTITION,
            "line 3: expected a name and 0, 1 or 2",
        ),
        (with_line("partition", 3, "000003.jpg"), PARTITION, "line 3: expected a name and 0, 1"),
        (with_line("partition", 3, "000007.jpg 2"), PARTITION, "names an image twice"),
        (lambda small: small.partition.clear(), PARTITION, "names no image"),
        (with_line("attributes", 2, "Bald Young"), ATTRIBUTE, "expected 3 attributes, found 2"),
        (
            with_line("attributes", 5, "000003.jpg 1 -1 0"),
            ATTRIBUTE,
            "line 5: expected a name and 3 times 1 or -1",
        ),
        (with_line("attributes", 5, "000003.jpg 1 -1"), ATTRIBUTE, "line 5: expected a name and"),
        (with_line("attributes", 5, ""), ATTRIBUTE, "has no line for 000003.jpg"),
    ],
)
def test_damage_is_told(small, stored, folder, change, file, why):
    change(small)
    stored(verified=False)
    with pytest.raises(UserError) as caught:
        load(VIEW, folder)
    told = str(caught.value)
    assert told.startswith(f"{folder / 'small-celeba' / file}: {why}")
    assert told.endswith("; `vaebench fetch-data small-celeba` fetches it again")
    assert {path.name for path in (folder / "small-celeba" / "cache").iterdir()} == {".lock"}


def test_a_file_that_is_no_zip(stored, folder):
    stored(verified=False)
    (folder / "small-celeba" / ZIP).write_bytes(b"PK\x03\x04 torn")
    with pytest.raises(UserError, match=r"img_align_celeba\.zip: corrupt zip file"):
        load(VIEW, folder)


def test_a_text_file_that_is_none(stored, folder):
    stored(verified=False)
    (folder / "small-celeba" / PARTITION).write_bytes(b"\xff\xfe0")
    with pytest.raises(UserError, match=r"list_eval_partition\.txt: is no text file"):
        load(VIEW, folder)


def test_files_are_checked_before_arrays_are_made_of_them(stored, folder):
    entry = stored()
    path = folder / "small-celeba" / ATTRIBUTE
    path.write_bytes(path.read_bytes().replace(b" 1", b"-1", 1))
    with pytest.raises(UserError) as caught:
        load(VIEW, folder)
    expected = entry.file("attributes").sha256
    assert str(caught.value).startswith(f"{path}: expected sha256 {expected}, found sha256 ")


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "cannot be read"),
        (b"\x93NUMPY", "cannot be read"),
        (None, r"expected 3x3x64x64 of uint8, found 3x3x64x63 of uint8"),
    ],
)
def test_damaged_arrays_are_told(stored, folder, content, why):
    entry = stored()
    load(VIEW, folder)
    path = celeba.arrays_path(entry, folder) / "test-images.npy"
    if content is None:
        np.save(path, np.zeros((3, 3, 64, 63), np.uint8))
    else:
        path.write_bytes(content)
    with pytest.raises(UserError, match=why) as caught:
        load(VIEW, folder)
    assert str(caught.value).startswith(f"{path}: ")
    assert str(caught.value).endswith(f"; delete {path.parent}, and it is made again")


def test_missing_data(small, folder, monkeypatch):
    monkeypatch.setitem(CATALOG, "small-celeba", small.entry())
    with pytest.raises(UserError, match=f"^the data set small-celeba is not in {folder}\n"):
        load(VIEW, folder)


# The command that brings it in.


@pytest.fixture
def vaebench(capsys):
    def run(*arguments):
        with pytest.raises(SystemExit) as caught:
            main(list(arguments))
        captured = capsys.readouterr()
        return caught.value.code, captured.out, captured.err

    return run


def test_import_makes_the_arrays(small, folder, tmp_path, vaebench, monkeypatch):
    entry = small.entry()
    monkeypatch.setitem(CATALOG, "small-celeba", entry)
    small.put(tmp_path / "mine" / "celeba")
    code, out, err = vaebench("fetch-data", "small-celeba", "--from", str(tmp_path / "mine"))
    place = celeba.arrays_path(entry, folder)
    assert (code, out) == (0, "")
    assert err.splitlines() == [
        "A few made pictures. Made for tests.",
        *(f"small-celeba/{name}: ok and stored" for name in small.contents()),
        "small-celeba: making its arrays of 0 MB, once",
        f"small-celeba/{place.name}: ok and stored",
    ]
    monkeypatch.setattr(celeba, "small", None)
    load(VIEW, folder)
    code, _, err = vaebench("fetch-data", "small-celeba")
    assert code == 0
    assert err.splitlines()[-1] == f"small-celeba/{place.name}: ok, already there"
    code, out, _ = vaebench("fetch-data", "small-celeba", "--check")
    assert code == 0 and out.splitlines()[-1] == f"small-celeba/{place.name}: ok"


def test_a_bar_shows_the_arrays(small):
    bars = Progress(console=Console(file=io.StringIO()))
    bar = fetch_data._Bar(small.entry(), bars)
    bar.preparing(bar.entry, 0, 100)
    bar.preparing(bar.entry, 40, 100)
    assert [(task.completed, task.total) for task in bars.tasks] == [(40, 100)]
    assert "making its arrays" in bars.console.file.getvalue()


def test_damaged_arrays_are_found_and_mended(stored, folder, vaebench):
    place = celeba.prepare(stored(), folder)
    array = np.load(place / "train-images.npy", mmap_mode="r+")
    array[0, 0, 0, 0] ^= 1
    array.flush()
    code, out, err = vaebench("fetch-data", "small-celeba", "--check")
    assert code == 1 and out.splitlines()[-1] == f"small-celeba/{place.name}: damaged, in {place}"
    assert "`vaebench fetch-data small-celeba` fetches what is missing or wrong" in err
    code, _, err = vaebench("fetch-data", "small-celeba")
    assert code == 0 and err.splitlines()[-1] == f"small-celeba/{place.name}: ok and stored"
    assert celeba.intact(place)


def test_one_file_at_a_time(small, folder, tmp_path, vaebench, monkeypatch):
    monkeypatch.setitem(CATALOG, "small-celeba", small.entry())
    small.put(tmp_path)
    for name, rest in (
        (ZIP, f" still lacks {PARTITION}, {ATTRIBUTE}"),
        (ATTRIBUTE, f" still lacks {PARTITION}"),
    ):
        code, _, err = vaebench("fetch-data", "small-celeba", "--from", str(tmp_path / name))
        assert code == 0 and err.splitlines()[-2:] == [
            f"small-celeba/{name}: ok and stored",
            f"small-celeba{rest}",
        ]
    code, _, err = vaebench("fetch-data", "small-celeba", "--from", str(tmp_path / PARTITION))
    assert code == 0 and err.endswith("ok and stored\n")
    assert load(VIEW, folder).info.train_size == 6


def test_what_cannot_be_had_is_told_with_the_way_by_hand(small, folder, vaebench, monkeypatch):
    monkeypatch.setitem(CATALOG, "small-celeba", small.entry())
    code, _, err = vaebench("fetch-data", "small-celeba")
    assert code == 1
    assert err.splitlines()[1:] == [
        "vaebench: small-celeba: img_align_celeba.zip could not be downloaded",
        "with files from elsewhere: `vaebench fetch-data small-celeba --from DIR`",
        "Ask the tests for them.",
    ]


def test_an_unpacked_folder_is_not_the_zip(small, folder, tmp_path, vaebench, monkeypatch):
    monkeypatch.setitem(CATALOG, "small-celeba", small.entry())
    small.put(tmp_path / "mine")
    shutil.unpack_archive(tmp_path / "mine" / ZIP, tmp_path / "mine")
    (tmp_path / "mine" / ZIP).unlink()
    code, _, err = vaebench("fetch-data", "small-celeba", "--from", str(tmp_path / "mine"))
    assert code == 2
    assert err.splitlines()[-2:] == [
        f"vaebench: {tmp_path / 'mine'}: {ZIP} of small-celeba is not there, with or without .gz, "
        "nor in a folder celeba in it",
        "Ask the tests for them.",
    ]


def test_ctrl_c_while_arrays_are_made(stored, folder, vaebench, monkeypatch):
    entry = stored()

    def stop(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(celeba, "small", stop)
    code, _, err = vaebench("fetch-data", "small-celeba")
    assert code == 130 and not celeba.arrays_path(entry, folder).exists()
    assert err.splitlines()[-1] == ("stopped; what small-celeba has so far is complete and checked")
