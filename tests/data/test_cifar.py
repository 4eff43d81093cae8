"""CIFAR-10: its binary version in small, what else is taken or refused, and the real images."""

import io
from dataclasses import replace

import numpy as np
import pytest
from packing import tar, zipped

from vaebench.cli import main
from vaebench.data.catalog import CATALOG, lookup
from vaebench.data.checksums import check
from vaebench.data.download import Patience
from vaebench.data.fetch import fetch, import_from
from vaebench.data.loading import load
from vaebench.errors import UserError
from vaebench.registry.runs import DataView

rng = np.random.Generator(np.random.PCG64(0))

# The binary version in small: five batches of 12 images and one of 7; the subset has 10 and 5.
BATCHES = [f"data_batch_{number}.bin" for number in range(1, 6)] + ["test_batch.bin"]
IMAGES = {
    name: rng.integers(0, 256, (7 if name == "test_batch.bin" else 12, 32, 32, 3), np.uint8)
    for name in BATCHES
}
LABELS = {name: rng.integers(0, 10, len(images), np.uint8) for name, images in IMAGES.items()}
MEMBERS = {
    f"cifar-10-batches-bin/{name}": b"".join(
        bytes([label]) + b"".join(image[:, :, colour].tobytes() for colour in range(3))
        for label, image in zip(LABELS[name], images, strict=True)
    )
    for name, images in IMAGES.items()
}
OTHERS = {"cifar-10-batches-bin/batches.meta.txt": b"airplane\n", "cifar-10-batches-bin/x": b""}
RECORD = 3_073
COUNTS = {"train": 10, "test": 5}
WHOLE, SUBSET = DataView(dataset="cifar10"), DataView(dataset="cifar10-subset")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A data folder, and entries of the small sizes and of unknown checksums in the catalogue."""
    monkeypatch.setenv("VAEBENCH_DATA", str(tmp_path / "data"))
    sizes = {
        "cifar10": {name: len(IMAGES[name]) for name in BATCHES},
        "cifar10-subset": {"data_batch_1.bin": COUNTS["train"], "test_batch.bin": COUNTS["test"]},
    }
    splits = {"cifar10": {"train": 60, "test": 7}, "cifar10-subset": COUNTS}
    for entry in (lookup(name) for name in sizes):
        files = tuple(
            replace(file, size=RECORD * sizes[entry.name][file.member.split("/")[1]], sha256=None)
            for file in entry.files
        )
        small = replace(entry, files=files, splits=splits[entry.name])
        monkeypatch.setitem(CATALOG, entry.name, small)
    return tmp_path / "data"


@pytest.fixture
def mine(tmp_path):
    """Lays files into a folder of the user's."""

    def write(contents):
        for name, content in contents.items():
            path = tmp_path / "mine" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        return tmp_path / "mine"

    return write


def arrays(**changes):
    """The arrays of the subset: the first images, colours last."""
    found = {}
    for split, name in (("train", "data_batch_1.bin"), ("test", "test_batch.bin")):
        count = COUNTS[split]
        found[f"{split}_images"] = IMAGES[name][:count]
        found[f"{split}_labels"] = LABELS[name][:count]
        found[f"{split}_indices"] = np.arange(count)
    return {name: array for name, array in (found | changes).items() if array is not None}


def npz(**changes):
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays(**changes))
    return buffer.getvalue()


def assert_holds(split, names, count=None):
    images = np.concatenate([IMAGES[name] for name in names])[:count]
    np.testing.assert_array_equal(split.images, images.transpose(0, 3, 1, 2))
    assert (
        split.labels.tolist() == np.concatenate([LABELS[name] for name in names])[:count].tolist()
    )


LAYOUTS = {
    "archive": lambda: {"cifar-10-binary.tar.gz": tar(OTHERS | MEMBERS)},
    "unpacked": lambda: MEMBERS,
    "files": lambda: {name.split("/")[1]: content for name, content in MEMBERS.items()},
    "in a folder": lambda: {f"cifar10/{name}": content for name, content in MEMBERS.items()},
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_binary_version_is_read(folder, mine, layout):
    import_from(mine(LAYOUTS[layout]()), lookup("cifar10"), folder)
    data = load(WHOLE, folder)
    assert_holds(data.train, BATCHES[:5])
    assert_holds(data.test, BATCHES[5:])
    assert (data.info.kind, data.info.shape, data.info.classes) == ("original", (3, 32, 32), 10)


@pytest.mark.parametrize("layout", [*LAYOUTS, "arrays", "arrays in a folder", "arrays alone"])
def test_the_subset_is_the_first_images_wherever_they_come_from(folder, mine, layout):
    name = "cifar10_lossless_subset.npz"
    others = {"arrays": {name: npz()}, "arrays in a folder": {f"cifar10/{name}": npz()}}
    others["arrays alone"] = others["arrays"]
    given = mine(others[layout] if layout in others else LAYOUTS[layout]())
    import_from(given / name if layout == "arrays alone" else given, lookup(SUBSET.dataset), folder)
    data = load(SUBSET, folder)
    assert_holds(data.train, BATCHES[:1], COUNTS["train"])
    assert_holds(data.test, BATCHES[5:], COUNTS["test"])
    assert data.info.kind == "derived"
    assert {state.status for state in check(lookup(SUBSET.dataset), folder)} == {"unverified"}
    # The same bytes in the store, so the same hash of the data, whichever way they came.
    stored = {path.name: path.read_bytes() for path in (folder / SUBSET.dataset).glob("*.bin")}
    beginnings = [MEMBERS[f"cifar-10-batches-bin/{name}"] for name in (BATCHES[0], BATCHES[5])]
    assert stored == {
        "data_batch_1_first_4000.bin": beginnings[0][: COUNTS["train"] * RECORD],
        "test_batch_first_1000.bin": beginnings[1][: COUNTS["test"] * RECORD],
    }


@pytest.mark.allow_hosts(["127.0.0.1"])
@pytest.mark.parametrize("view", [WHOLE, SUBSET], ids=["whole", "subset"])
def test_the_official_archive_is_downloaded_for_both(folder, mirror, monkeypatch, view):
    entry = lookup(view.dataset)
    (archive,) = entry.sources
    assert archive.mirrors[0] == "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
    url = mirror.serve("cifar.tar.gz", mirror.answer(tar(OTHERS | MEMBERS)))
    local = replace(archive, mirrors=(url,))
    files = tuple(replace(file, archive=local) for file in entry.files)
    monkeypatch.setitem(CATALOG, entry.name, replace(entry, files=files))
    fetch(lookup(entry.name), folder, patience=Patience(0.3, 0, 0.0))
    assert_holds(load(view, folder).test, BATCHES[5:], entry.splits["test"])
    assert len(mirror.requests) == 1


PICKLED = ["cifar-10-python.tar.gz", "cifar-10-batches-py/data_batch_1", "data_batch_1"]
REFUSAL = (
    "the python version is pickled, and a pickle may run any code when it is read; "
    "get the binary version, cifar-10-binary.tar.gz"
)


@pytest.mark.parametrize("dataset", ["cifar10", "cifar10-subset"])
@pytest.mark.parametrize("name", PICKLED)
@pytest.mark.parametrize("alone", [False, True])
def test_the_pickled_version_is_refused(folder, mine, capsys, dataset, name, alone):
    given = mine({name: b"\x80\x02pickle"})
    with pytest.raises(SystemExit) as caught:
        main(["fetch-data", dataset, "--from", str(given / name if alone else given)])
    assert caught.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1] == f"vaebench: {given / name}: {REFUSAL}"


def test_the_binary_version_is_taken_though_the_pickled_one_lies_beside_it(folder, mine):
    given = mine(dict.fromkeys(PICKLED, b"pickle") | LAYOUTS["unpacked"]())
    import_from(given, lookup("cifar10"), folder)
    assert_holds(load(WHOLE, folder).test, BATCHES[5:])


def test_what_is_missing_is_named_with_where_to_get_it(folder, mine):
    given = mine({"note": b""})
    with pytest.raises(UserError) as caught:
        import_from(given, lookup("cifar10-subset"), folder)
    assert str(caught.value) == (
        f"{given}: neither cifar-10-binary.tar.gz of cifar10-subset nor its "
        "cifar-10-batches-bin/data_batch_1.bin is there, nor in a folder cifar10, cifar-10, "
        "CIFAR10, cifar-10-batches-bin in it\n"
        "https://www.cs.toronto.edu/~kriz/cifar.html gives cifar-10-binary.tar.gz; "
        "cifar10_lossless_subset.npz, its first images as arrays, will do too"
    )


NINE = {name: array[:9] for name, array in arrays().items() if name.startswith("train")}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "its train_images cannot be read ("),
        (npz()[:3_000], "its train_images cannot be read ("),
        (zipped({"train_images.npy": b"\x93NUMPY"}), "its train_images cannot be read ("),
        (npz(test_labels=None), "its test_labels cannot be read ("),
        (
            npz(train_images=np.array([{}] * 10)),
            "its train_images cannot be read (Object arrays cannot be loaded",
        ),
        (
            npz(train_images=arrays()["train_images"][:9]),
            "its train_images are 9x32x32x3 of uint8",
        ),
        (
            npz(train_images=arrays()["train_images"] / 255),
            "its train_images are 10x32x32x3 of float64",
        ),
        (
            npz(train_images=arrays()["train_images"].reshape(10, -1)),
            "its train_images are 10x3072 of uint8",
        ),
        (npz(test_labels=np.zeros(5)), "its test_labels are 5 of float64"),
        (npz(test_labels=np.uint8(3)), "its test_images are 5x32x32x3 of uint8"),
        (
            npz(train_indices=np.arange(1, 11)),
            "its train_indices are not those of the first 10 images",
        ),
        (
            npz(**NINE),
            f"cifar-10-batches-bin/data_batch_1.bin: expected {10 * RECORD} bytes, found "
            f"{9 * RECORD} (cut short)",
        ),
    ],
)
def test_damage_of_the_arrays_is_told(folder, mine, content, why):
    given = mine({"cifar10_lossless_subset.npz": content})
    with pytest.raises(UserError) as caught:
        import_from(given, lookup("cifar10-subset"), folder)
    path = given / "cifar10_lossless_subset.npz"
    told = f"{path}: not cifar10-subset's cifar-10-binary.tar.gz: {why}"
    assert str(caught.value).startswith(told)


def test_an_archive_with_too_little_is_refused(folder, mine):
    short = {name: content[: 4 * RECORD] for name, content in MEMBERS.items()}
    given = mine({"cifar-10-binary.tar.gz": tar(short)})
    with pytest.raises(UserError, match=r"data_batch_1\.bin: expected 30730 bytes, found 12292"):
        import_from(given, lookup("cifar10-subset"), folder)


def test_the_real_files_are_pinned():
    """Sizes and checksums are those of the binary version; of the whole, all bytes are taken."""
    whole, subset = lookup("cifar10"), lookup("cifar10-subset")
    assert whole.size == 184_380_000 and not any(file.beginning for file in whole.files)
    assert [file.part for file in whole.files][::5] == ["train-1", "test"]
    assert subset.size == 15_365_000 and all(file.beginning for file in subset.files)
    assert all(file.sha256 for file in (*whole.files, *subset.files))
    assert "first 4,000 training and 1,000 test images" in subset.terms


# The real images.


@pytest.mark.real_data
def test_the_real_subset_is_what_it_was(cifar10_subset_dir):
    data = load(SUBSET, cifar10_subset_dir)
    assert data.train.labels[:10].tolist() == [6, 9, 9, 4, 1, 1, 2, 7, 8, 3]
    assert data.test.labels[:10].tolist() == [3, 8, 8, 0, 6, 6, 1, 6, 3, 1]
    assert data.train.images[0, :, 0, 0].tolist() == [59, 62, 63]
    assert data.test.images[0, :, 0, 0].tolist() == [158, 112, 49]
    assert data.train.labels.bincount().tolist() == [
        *(396, 366, 420, 384, 422, 393, 414, 385, 407, 413),
    ]
    assert data.sha256 == "e27ef8259d5ff6e910c24335083f2bd65581568ccf722ba5f2e3b5c0232f2db8"


@pytest.mark.real_data
def test_the_real_images_begin_with_those_of_the_subset(cifar10_dir, cifar10_subset_dir):
    whole, subset = load(WHOLE, cifar10_dir), load(SUBSET, cifar10_subset_dir)
    assert whole.train.labels.bincount().tolist() == [5_000] * 10
    assert whole.test.labels.bincount().tolist() == [1_000] * 10
    for name, count in (("train", 4_000), ("test", 1_000)):
        images = getattr(whole, name).images[:count]
        assert (images == getattr(subset, name).images).all()
