"""Data sets whose files come in one archive."""

import random
from dataclasses import replace

import pytest
from packing import PACKERS, tar, tar_entry, zipped

from vaebench.data.assets import Archive
from vaebench.data.checksums import check, recorded
from vaebench.data.download import Patience
from vaebench.data.fetch import DownloadFailed, Watcher, fetch, import_from, part_path
from vaebench.errors import UserError

local = pytest.mark.allow_hosts(["127.0.0.1"])
packed = pytest.mark.parametrize(("name", "packer"), PACKERS.items(), ids=PACKERS)
QUICK = Patience(timeout=0.3, retries=1, pause=0.0)


class Stored(Watcher):
    """Remembers what was stored, new or not."""

    def __init__(self):
        self.new, self.there = [], []

    def stored(self, state, new):
        (self.new if new else self.there).append(state.file.name)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("VAEBENCH_DATA", str(tmp_path / "data"))
    return tmp_path / "data"


def statuses(entry, folder):
    return {state.status for state in check(entry, folder)}


def stored_names(folder):
    return {path.name for path in (folder / "tiny").iterdir()} - {".lock"}


def paths(mirror):
    return [path for path, _ in mirror.requests]


def spoiled(tiny, part):
    """The members, one of them with another last byte."""
    name = f"set/{part}.bin"
    return {**tiny.members, name: tiny.members[name][:-1] + b"?"}


@local
@packed
def test_one_download_gives_all_files(tiny, mirror, folder, name, packer):
    mirror.serve(name, mirror.answer(packer({"../evil": b"x", **tiny.members})))
    entry, heard = tiny.in_archive(name, mirror.url), Stored()
    fetch(entry, folder, heard, QUICK)
    assert paths(mirror) == [name]
    assert statuses(entry, folder) == {"ok"}
    assert stored_names(folder) == set(tiny.contents) == set(heard.new)
    assert [path.name for path in folder.parent.iterdir()] == ["data"]


@local
def test_only_what_is_missing_is_taken(tiny, mirror, folder):
    tiny.put(folder / "tiny")
    (folder / "tiny" / "test-labels-idx").unlink()
    (folder / "tiny" / "test-images-idx").write_bytes(b"torn")
    others = {name: content for name, content in tiny.members.items() if "test" in name}
    mirror.serve("set.zip", mirror.answer(zipped(others)))
    entry, heard = tiny.in_archive("set.zip", mirror.url), Stored()
    fetch(entry, folder, heard, QUICK)
    assert statuses(entry, folder) == {"ok"}
    assert heard.new == ["test-images-idx", "test-labels-idx"]
    assert heard.there == ["train-images-idx", "train-labels-idx"]


@local
def test_archives_and_plain_files_side_by_side(tiny, mirror, folder):
    mirror.serve_all(tiny.contents)
    mirror.serve("set.zip", mirror.answer(zipped(tiny.members)))
    boxed, plain = tiny.in_archive("set.zip", mirror.url), tiny.with_mirrors(mirror.url)
    entry = replace(boxed, files=(boxed.files[0], *plain.files[1:3], boxed.files[3]))
    fetch(entry, folder, patience=QUICK)
    assert statuses(entry, folder) == {"ok"}
    assert paths(mirror) == ["set.zip", "train-labels-idx.gz", "test-images-idx.gz"]


@local
def test_an_archive_that_is_wanted_whole_is_a_plain_file(tiny, mirror, folder):
    content = zipped(tiny.members)
    url = mirror.serve("set.zip", mirror.answer(content))
    whole = replace(
        tiny.entry.files[0], name="set.zip", size=len(content), sha256=None, mirrors=(url,)
    )
    entry = replace(tiny.entry, files=(whole,))
    fetch(entry, folder, patience=QUICK)
    assert (folder / "tiny" / "set.zip").read_bytes() == content
    assert statuses(entry, folder) == {"unverified"}


@local
@packed
@pytest.mark.parametrize("trouble", ["missing", "altered", "torn", "corrupt", "stalled", "page"])
def test_the_next_mirror_helps(tiny, mirror, folder, name, packer, trouble):
    good = packer({**tiny.members, "noise": random.Random(0).randbytes(9000)})
    changed = bytearray(good)
    changed[300] ^= 1
    bad = {
        "missing": mirror.answer(status=404),
        "altered": mirror.answer(packer(spoiled(tiny, "test-images"))),
        "torn": mirror.answer(good[: len(good) // 2]),
        "corrupt": mirror.answer(bytes(changed)),
        "stalled": mirror.answer(good, cut=99, hang=True, ranges=False),
        "page": mirror.answer(b"<html>", headers={"Content-Type": "text/html"}),
    }
    mirror.serve(f"bad/{name}", bad[trouble])
    mirror.serve(f"moved/{name}", mirror.answer(status=302, headers={"Location": f"/{name}"}))
    mirror.serve(name, mirror.answer(good))
    entry = tiny.in_archive(name, mirror.url + "bad/", mirror.url + "moved/")
    fetch(entry, folder, patience=QUICK)
    assert statuses(entry, folder) == {"ok"}
    assert stored_names(folder) == set(tiny.contents)


@local
def test_a_bad_archive_leaves_nothing_behind(tiny, mirror, folder):
    """Not even its good members, if one is a link: what it cannot give is found out first."""
    contents = dict(tiny.members)
    del contents["set/test-labels.bin"]
    link = tar_entry("set/test-labels.bin", type=b"2", linkname="/etc/passwd")
    url = mirror.serve("set.tar.gz", mirror.answer(tar(contents, extra=[link])))
    entry = tiny.in_archive("set.tar.gz", mirror.url, verified=False)
    with pytest.raises(DownloadFailed) as caught:
        fetch(entry, folder, patience=QUICK)
    assert str(caught.value).splitlines() == [
        "tiny: set.tar.gz could not be downloaded",
        f"  {url}: its set/test-labels.bin is a link or a folder, not a file",
        "with files from elsewhere: `vaebench fetch-data tiny --from DIR`",
    ]
    assert stored_names(folder) == set()


@local
@packed
def test_a_member_that_is_a_bomb(tiny, mirror, folder, name, packer):
    contents = {**tiny.members, "set/train-images.bin": bytes(50_000_000)}
    mirror.serve(name, mirror.answer(packer(contents)))
    entry = tiny.in_archive(name, mirror.url)
    with pytest.raises(DownloadFailed, match="expected 336 bytes, found more"):
        fetch(entry, folder, patience=QUICK)
    assert stored_names(folder) == set()


@local
def test_a_bomb_of_unknown_size(tiny, mirror, folder, monkeypatch):
    monkeypatch.setattr("vaebench.data.placing._UNKNOWN_SIZE", 300)
    mirror.serve("set.zip", mirror.answer(zipped(tiny.members)))
    entry = tiny.in_archive("set.zip", mirror.url, verified=False)
    entry = replace(entry, files=(replace(entry.files[0], size=None),))
    with pytest.raises(DownloadFailed, match="found more than 300 bytes, and its size is not"):
        fetch(entry, folder, patience=QUICK)


@local
def test_a_member_with_another_checksum_is_named(tiny, mirror, folder):
    mirror.serve("set.zip", mirror.answer(zipped(spoiled(tiny, "test-images"))))
    entry = tiny.in_archive("set.zip", mirror.url)
    with pytest.raises(DownloadFailed, match=r"set/test-images.bin: expected sha256 .*, found "):
        fetch(entry, folder, patience=QUICK)
    assert stored_names(folder) == {"train-images-idx", "train-labels-idx"}


@local
@packed
def test_a_broken_download_is_kept_and_resumed(tiny, mirror, folder, name, packer):
    content = packer(tiny.members)
    mirror.serve(name, *[mirror.answer(content, cut=200)] * 3, mirror.answer(content))
    entry = tiny.in_archive(name, mirror.url)
    with pytest.raises(DownloadFailed, match="is kept: the same command goes on from there"):
        fetch(entry, folder, patience=QUICK)
    part = part_path(entry, entry.files[0].source, folder)
    assert part.name == f"{name}.part" and part.stat().st_size == 200
    fetch(entry, folder, patience=QUICK)
    assert mirror.requests[-1] == (name, "bytes=200-")
    assert statuses(entry, folder) == {"ok"}
    assert stored_names(folder) == set(tiny.contents)


@local
@pytest.mark.parametrize("etag", ['"1"', None])
def test_killed_between_members_the_archive_is_not_fetched_again(
    tiny, mirror, folder, monkeypatch, etag
):
    mirror.serve("set.tar.gz", mirror.answer(tar(tiny.members), etag=etag))
    entry = tiny.in_archive("set.tar.gz", mirror.url)
    with monkeypatch.context() as patch:
        die_after(2, patch)
        with pytest.raises(KeyboardInterrupt):
            fetch(entry, folder, patience=QUICK)
    assert part_path(entry, entry.files[0].source, folder).exists()
    heard = Stored()
    fetch(entry, folder, heard, QUICK)
    assert paths(mirror) == ["set.tar.gz"]
    assert (len(heard.new), len(heard.there)) == (2, 2)
    assert statuses(entry, folder) == {"ok"}
    assert stored_names(folder) == set(tiny.contents)


def die_after(count, patch):
    """Ctrl-C once that many files have been placed."""
    from vaebench.data import fetch as module

    place, placed = module.place_bytes, []

    def place_or_die(*arguments):
        if len(placed) == count:
            raise KeyboardInterrupt
        placed.append(place(*arguments))

    patch.setattr(module, "place_bytes", place_or_die)


@local
def test_killed_after_the_last_member_the_archive_goes_all_the_same(tiny, mirror, folder):
    entry = tiny.in_archive("set.zip", mirror.url)
    tiny.put(folder / "tiny")
    part = part_path(entry, entry.files[0].source, folder)
    part.write_bytes(b"all of it")
    fetch(entry, folder)
    assert paths(mirror) == []
    assert stored_names(folder) == set(tiny.contents)


@local
def test_unverified_members_are_recorded_and_bind(tiny, mirror, folder):
    mirror.serve("set.zip", mirror.answer(zipped(tiny.members)))
    entry = tiny.in_archive("set.zip", mirror.url, verified=False)
    fetch(entry, folder, patience=QUICK)
    assert statuses(entry, folder) == {"unverified"}
    assert recorded(entry, folder) == {file.name: file.sha256 for file in tiny.entry.files}

    (folder / "tiny" / "test-images-idx").unlink()
    mirror.serve("set.zip", mirror.answer(zipped(spoiled(tiny, "test-images"))))
    with pytest.raises(DownloadFailed, match=r"\(recorded on first use in checksums.json\)"):
        fetch(entry, folder, patience=QUICK)


@packed
@pytest.mark.parametrize("under", ["", "raw"])
@pytest.mark.parametrize("alias", [False, True])
def test_import_of_the_archive(tiny, folder, tmp_path, name, packer, under, alias):
    source = tmp_path / "mine" / under
    source.mkdir(parents=True)
    (source / ("downloaded" if alias else name)).write_bytes(packer(tiny.members))
    entry = tiny.in_archive(name)
    import_from(tmp_path / "mine", entry, folder)
    assert statuses(entry, folder) == {"ok"}
    assert stored_names(folder) == set(tiny.contents)
    assert len(list(source.iterdir())) == 1


@pytest.mark.parametrize("layout", ["member path", "member name", "stored name"])
@pytest.mark.parametrize("torn", [False, True])
def test_import_of_the_unpacked_files(tiny, folder, tmp_path, layout, torn):
    """Also where a torn archive lies beside them."""
    entry = tiny.in_archive("set.zip")
    for file in entry.files:
        name = {"member path": file.member, "member name": file.member[4:]}.get(layout, file.name)
        path = tmp_path / "mine" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(tiny.contents[file.name])
    if torn:
        (tmp_path / "mine" / "set.zip").write_bytes(zipped(tiny.members)[:-99])
    import_from(tmp_path / "mine", entry, folder)
    assert statuses(entry, folder) == {"ok"}


def test_import_of_a_bad_archive(tiny, folder, tmp_path):
    bad = tmp_path / "set.zip"
    bad.write_bytes(zipped(spoiled(tiny, "test-images")))
    with pytest.raises(UserError) as caught:
        import_from(tmp_path, tiny.in_archive("set.zip"), folder)
    assert str(caught.value).startswith(
        f"{bad}: not tiny's set.zip: set/test-images.bin: expected "
    )


def test_import_from_a_folder_with_neither(tiny, folder, tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(UserError) as caught:
        import_from(tmp_path / "mine", tiny.in_archive("set.zip"), folder)
    assert str(caught.value) == (
        f"{tmp_path / 'mine'}: neither set.zip of tiny nor its set/train-images.bin is there, "
        "nor in a folder tiny, raw in it"
    )


def test_a_file_knows_its_source(tiny):
    boxed = tiny.in_archive("set.zip", "https://one/")
    archive = Archive("set.zip", ("https://one/set.zip",), ("downloaded",))
    assert boxed.sources == {archive: list(boxed.files)}
    assert list(tiny.entry.sources) == list(tiny.entry.files)
