"""Filling the data folder, from mirrors and from the user's files."""

import gzip
import threading
from dataclasses import replace

import pytest
from filelock import FileLock
from packing import zipped

from vaebench.data.checksums import check, recorded
from vaebench.data.download import Patience
from vaebench.data.fetch import DownloadFailed, Watcher, fetch, import_from, part_path
from vaebench.errors import UserError

local = pytest.mark.allow_hosts(["127.0.0.1"])
QUICK = Patience(timeout=0.3, retries=1, pause=0.0)


class Notes(Watcher):
    """Remembers what it hears."""

    def __init__(self):
        self.heard = []

    def waiting(self, entry):
        self.heard.append(("waiting", entry.name))

    def started(self, file, url):
        self.heard.append(("started", url))

    def failed(self, file, attempt):
        self.heard.append(("failed", attempt.url))

    def stored(self, state, new):
        self.heard.append((state.status, state.file.name, new))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("VAEBENCH_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def statuses(entry, folder):
    return {state.status for state in check(entry, folder)}


def stored_names(folder):
    names = {path.name for path in (folder / "tiny").iterdir()}
    return names - {".lock"}


@local
def test_downloads_what_is_missing_and_nothing_else(tiny, mirror, folder):
    mirror.serve_all(tiny.contents)
    entry = tiny.with_mirrors(mirror.url)
    fetch(entry, folder, patience=QUICK)
    assert statuses(entry, folder) == {"ok"}
    assert stored_names(folder) == set(tiny.contents)

    (folder / "tiny" / "test-labels-idx").unlink()
    (folder / "tiny" / "test-images-idx").write_bytes(b"torn")
    del mirror.requests[:]
    notes = Notes()
    fetch(entry, folder, notes, QUICK)
    assert [path for path, _ in mirror.requests] == ["test-images-idx.gz", "test-labels-idx.gz"]
    assert [heard for heard in notes.heard if heard[0] == "ok"] == [
        ("ok", "train-images-idx", False),
        ("ok", "train-labels-idx", False),
        ("ok", "test-images-idx", True),
        ("ok", "test-labels-idx", True),
    ]


def test_a_complete_data_set_needs_neither_network_nor_writing(tiny, folder, monkeypatch):
    tiny.put(folder / "tiny")
    before = stored_names(folder)
    monkeypatch.setattr("vaebench.data.fetch.download", None)
    fetch(tiny.with_mirrors("https://nowhere.invalid/"), folder)
    assert {path.name for path in (folder / "tiny").iterdir()} == before


@local
@pytest.mark.parametrize("trouble", ["missing", "altered", "torn", "stalled", "page"])
def test_the_next_mirror_helps(tiny, mirror, folder, trouble):
    mirror.serve_all(tiny.contents, under="good/")
    if trouble != "missing":
        for name, content in tiny.contents.items():
            packed = gzip.compress(content)
            answer = {
                "altered": mirror.answer(gzip.compress(content[:-1] + b"?")),
                "torn": mirror.answer(packed[:-9]),
                "stalled": mirror.answer(packed, cut=9, hang=True, ranges=False),
                "page": mirror.answer(b"<html>", headers={"Content-Type": "text/html"}),
            }[trouble]
            mirror.serve(f"bad/{name}.gz", answer)
    entry = tiny.with_mirrors(mirror.url + "bad/", mirror.url + "good/")
    fetch(entry, folder, patience=QUICK)
    assert statuses(entry, folder) == {"ok"}
    assert stored_names(folder) == set(tiny.contents)


@local
def test_when_all_mirrors_fail_each_reason_is_told(tiny, mirror, folder):
    other = mirror.serve("two/train-images-idx.gz", mirror.answer(gzip.compress(bytes(336))))
    entry = tiny.with_mirrors(mirror.url + "one/", mirror.url + "two/")
    with pytest.raises(DownloadFailed) as caught:
        fetch(entry, folder, patience=QUICK)
    lines = str(caught.value).splitlines()
    assert lines[0] == "tiny: train-images-idx could not be downloaded"
    assert lines[1] == f"  {mirror.url}one/train-images-idx.gz: HTTP 404 Not Found"
    assert lines[2].startswith(f"  {other}: expected sha256 {entry.files[0].sha256}, found ")
    assert lines[3:] == ["with files from elsewhere: `vaebench fetch-data tiny --from DIR`"]
    assert stored_names(folder) == set()


@local
def test_a_download_broken_off_goes_on_at_its_mirror(tiny, mirror, folder):
    packed = gzip.compress(tiny.contents["train-images-idx"], mtime=0)
    mirror.serve_all(tiny.contents, under="two/")
    half = [mirror.answer(packed, cut=50)] * 4
    mirror.serve("two/train-images-idx.gz", *half[:3], mirror.answer(packed))
    entry = tiny.with_mirrors(mirror.url + "one/", mirror.url + "two/")
    with pytest.raises(DownloadFailed, match="is kept: the same command goes on from there"):
        fetch(entry, folder, patience=QUICK)
    assert part_path(entry, entry.files[0], folder).stat().st_size == 50
    del mirror.requests[:]
    fetch(entry, folder, patience=QUICK)
    assert mirror.requests[0] == ("two/train-images-idx.gz", "bytes=50-")
    assert statuses(entry, folder) == {"ok"}
    assert stored_names(folder) == set(tiny.contents)


@local
def test_unknown_checksums_are_recorded_on_first_use(tiny, mirror, folder):
    mirror.serve_all(tiny.contents)
    entry = tiny.with_mirrors(mirror.url, verified=False)
    notes = Notes()
    fetch(entry, folder, notes, QUICK)
    assert {heard[0] for heard in notes.heard} == {"started", "unverified"}
    assert recorded(entry, folder) == {file.name: file.sha256 for file in tiny.entry.files}

    name = "test-labels-idx"
    (folder / "tiny" / name).unlink()
    mirror.serve(f"{name}.gz", mirror.answer(gzip.compress(bytes(18))))
    with pytest.raises(DownloadFailed, match="expected sha256"):
        fetch(entry, folder, patience=QUICK)


def test_unverified_files_laid_by_hand_are_recorded(tiny, folder):
    tiny.put(folder / "tiny")
    entry = tiny.with_mirrors(verified=False)
    fetch(entry, folder)
    assert recorded(entry, folder) == {file.name: file.sha256 for file in tiny.entry.files}


def test_two_processes_do_not_fetch_at_once(tiny, folder, tmp_path):
    tiny.put(tmp_path / "source")
    (folder / "tiny").mkdir(parents=True)
    other, notes = FileLock(folder / "tiny" / ".lock"), Notes()
    other.acquire()
    thread = threading.Thread(
        target=import_from, args=(tmp_path / "source", tiny.entry, folder, notes)
    )
    thread.start()
    thread.join(0.3)
    assert notes.heard == [("waiting", "tiny")] and thread.is_alive()
    other.release()
    thread.join(10)
    assert statuses(tiny.entry, folder) == {"ok"}


def test_the_lock_is_given_back_after_a_failure(tiny, folder, tmp_path):
    (tmp_path / "source").mkdir()
    with pytest.raises(UserError) as caught:
        import_from(tmp_path / "source", tiny.entry, folder)
    tiny.put(tmp_path / "source")
    import_from(tmp_path / "source", tiny.entry, folder)
    assert caught.value and statuses(tiny.entry, folder) == {"ok"}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("under", ["", "tiny", "raw"])
def test_import_finds_the_usual_layouts(tiny, folder, tmp_path, under, packed):
    tiny.put(tmp_path / "source" / under, packed)
    import_from(tmp_path / "source", tiny.entry, folder)
    assert statuses(tiny.entry, folder) == {"ok"}
    assert stored_names(folder) == set(tiny.contents)


def test_import_knows_other_names(tiny, folder, tmp_path):
    tiny.put(tmp_path / "source")
    (tmp_path / "source" / "test-images-idx").rename(tmp_path / "source" / "t10k.idx")
    files = [
        replace(file, aliases=("t10k.idx",)) if file.part == "test-images" else file
        for file in tiny.entry.files
    ]
    entry = replace(tiny.entry, files=tuple(files))
    import_from(tmp_path / "source", entry, folder)
    assert statuses(entry, folder) == {"ok"}


def test_import_passes_over_files_of_the_same_name(tiny, folder, tmp_path):
    tiny.put(tmp_path / "source" / "raw", packed=True)
    (tmp_path / "source" / "train-images-idx").write_bytes(bytes(336))
    import_from(tmp_path / "source", tiny.entry, folder)
    assert statuses(tiny.entry, folder) == {"ok"}


def test_import_of_the_wrong_bytes(tiny, folder, tmp_path):
    tiny.put(tmp_path)
    wrong = tmp_path / "test-labels-idx"
    wrong.write_bytes(bytes(18))
    with pytest.raises(UserError) as caught:
        import_from(tmp_path, tiny.entry, folder)
    expected = tiny.entry.file("test-labels").sha256
    assert str(caught.value).startswith(
        f"{wrong}: not tiny's test-labels-idx: expected sha256 {expected}, found "
    )
    assert [state.status for state in check(tiny.entry, folder)] == ["ok", "ok", "ok", "missing"]


def test_import_of_a_torn_file(tiny, folder, tmp_path):
    tiny.put(tmp_path, packed=True)
    torn = tmp_path / "train-images-idx.gz"
    torn.write_bytes(torn.read_bytes()[:100])
    with pytest.raises(UserError) as caught:
        import_from(tmp_path, tiny.entry, folder)
    assert str(caught.value) == (
        f"{torn}: not tiny's train-images-idx: corrupt gzip file "
        "(Compressed file ended before the end-of-stream marker was reached)"
    )


def test_import_from_a_folder_without_the_files(tiny, folder, tmp_path):
    with pytest.raises(UserError) as caught:
        import_from(tmp_path, tiny.entry, folder)
    assert str(caught.value) == (
        f"{tmp_path}: train-images-idx of tiny is not there, with or without .gz, "
        "nor in a folder tiny, raw in it"
    )


def test_import_from_no_folder(tiny, folder, tmp_path):
    with pytest.raises(UserError) as caught:
        import_from(tmp_path / "none", tiny.entry, folder)
    assert str(caught.value) == (
        f"{tmp_path / 'none'}: expected a folder that holds the files of tiny, or one of them"
    )


@pytest.mark.parametrize("packed", [False, True])
def test_import_of_one_file_by_its_name(tiny, folder, tmp_path, packed):
    tiny.put(tmp_path, packed)
    notes = Notes()
    name = "test-labels-idx"
    import_from(tmp_path / (f"{name}.gz" if packed else name), tiny.entry, folder, notes)
    assert notes.heard == [("ok", name, True)]
    assert stored_names(folder) == {name}


def test_import_of_an_archive_by_its_name(tiny, folder, tmp_path):
    entry = tiny.in_archive("set.zip")
    for name in ("set.zip", "downloaded"):
        (tmp_path / name).write_bytes(zipped(tiny.members))
        import_from(tmp_path / name, entry, folder / name)
        assert statuses(entry, folder / name) == {"ok"}


def test_one_file_that_is_none_of_several(tiny, folder, tmp_path):
    other = tmp_path / "other-idx"
    other.write_bytes(tiny.contents["test-labels-idx"])
    with pytest.raises(UserError) as caught:
        import_from(other, tiny.entry, folder)
    assert str(caught.value) == (
        f"{other}: by its name no file of tiny; expected train-images-idx or train-labels-idx or "
        "test-images-idx or test-labels-idx"
    )


def test_one_file_with_the_wrong_bytes(tiny, folder, tmp_path):
    wrong = tmp_path / "test-labels-idx"
    wrong.write_bytes(bytes(18))
    with pytest.raises(UserError, match=f"^{wrong}: not tiny's test-labels-idx: expected sha256"):
        import_from(wrong, tiny.entry, folder)
    entry = tiny.in_archive("test-labels-idx")
    with pytest.raises(UserError, match=f"^{wrong}: not tiny's test-labels-idx: corrupt zip"):
        import_from(wrong, entry, folder)
    assert stored_names(folder) == set()


def test_the_only_file_may_have_any_name(tiny, folder, tmp_path):
    """Its checksum tells what it is; without one only its name can."""
    entry = replace(tiny.entry, files=tiny.entry.files[-1:])
    given = tmp_path / "download (1)"
    given.write_bytes(tiny.contents["test-labels-idx"])
    import_from(given, entry, folder)
    assert statuses(entry, folder) == {"ok"}
    unknown = replace(entry, files=(replace(entry.files[0], sha256=None),))
    with pytest.raises(UserError, match=r"by its name no file of tiny; expected test-labels-idx$"):
        import_from(given, unknown, tmp_path / "elsewhere")
    given.write_bytes(bytes(18))
    with pytest.raises(
        UserError, match=r"download \(1\): not tiny's test-labels-idx: expected sha"
    ):
        import_from(given, entry, tmp_path / "elsewhere")


def test_a_read_only_folder_is_said_plainly(tiny, folder, tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("vaebench.data.placing.TemporaryFile", refuse)
    with pytest.raises(UserError) as caught:
        fetch(tiny.entry, folder)
    assert str(caught.value) == (
        f"{folder / 'tiny'}: cannot be written (Read-only file system); "
        "name another folder with --data-dir DIR or VAEBENCH_DATA"
    )


@pytest.mark.real_data
def test_mnist_is_what_the_catalogue_says(mnist_dir):
    from vaebench.data.catalog import lookup

    assert statuses(lookup("mnist"), mnist_dir) == {"ok"}
