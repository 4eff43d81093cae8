"""Writing into the data folder: whole or not at all."""

import errno
import gzip
import os
from dataclasses import replace
from pathlib import Path

import pytest

from vaebench.data.checksums import check_file, recorded
from vaebench.data.placing import CHUNK, Unusable, place, place_bytes, record, write
from vaebench.errors import UserError


@pytest.fixture
def source(tiny, tmp_path):
    path = tmp_path / "source"
    path.write_bytes(gzip.compress(tiny.contents["train-images-idx"]))
    return path


@pytest.fixture
def file(tiny):
    return tiny.entry.file("train-images")


def leftovers(folder):
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_unpacks_and_checks(tiny, file, tmp_path, source, pack):
    source.write_bytes(pack(tiny.contents[file.name]))
    place(source, tiny.entry, file, tmp_path / "data")
    assert check_file(tiny.entry, file, tmp_path / "data").status == "ok"
    assert leftovers(tmp_path / "data") == [file.name]


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("more", [0, 1, 3 * CHUNK])
def test_of_a_beginning_there_may_be_more(tiny, file, tmp_path, source, pack, more):
    beginning = replace(file, beginning=True)
    source.write_bytes(pack(tiny.contents[file.name] + bytes(more)))
    place(source, tiny.entry, beginning, tmp_path / "data")
    assert check_file(tiny.entry, beginning, tmp_path / "data").status == "ok"
    source.write_bytes(pack(tiny.contents[file.name][:-1]))
    with pytest.raises(Unusable, match=r"expected 336 bytes, found 335 \(cut short\)"):
        place(source, tiny.entry, beginning, tmp_path / "data")


def test_a_beginning_that_spans_several_pieces(tiny, file, tmp_path):
    content = tiny.contents[file.name]
    pieces = [content[:100], content[100:336], b"", b"more", b"and more"]
    for chunks in (pieces, [content[:100], content[100:] + b"more"]):
        (tmp_path / "tiny" / file.name).unlink(missing_ok=True)
        place_bytes(chunks, tiny.entry, replace(file, beginning=True), tmp_path)
        assert (tmp_path / "tiny" / file.name).read_bytes() == content


def spoil(content: bytes, how: str) -> bytes:
    packed = gzip.compress(content)
    return {
        "another": gzip.compress(content[:-1] + b"?"),
        "short": gzip.compress(content[:-1]),
        "bomb": gzip.compress(content + bytes(10**7)),
        "torn": packed[: len(packed) // 2],
        "tail": packed + b"tail",
        "page": b"<html>",
    }[how]


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("another", "expected sha256 .*, found .*"),
        ("short", r"expected 336 bytes, found 335 \(cut short\)"),
        ("bomb", "expected 336 bytes, found more"),
        ("torn", r"corrupt gzip file \(Compressed file ended .*\)"),
        ("tail", r"corrupt gzip file \(Not a gzipped file .*\)"),
        ("page", r"expected 336 bytes, found 6 \(cut short\)"),
    ],
)
def test_wrong_bytes_never_take_the_place_of_a_file(tiny, file, tmp_path, source, how, reason):
    folder = tmp_path / "data"
    place(source, tiny.entry, file, folder)
    source.write_bytes(spoil(tiny.contents[file.name], how))
    with pytest.raises(Unusable, match=f"^{reason}$"):
        place(source, tiny.entry, file, folder)
    assert check_file(tiny.entry, file, folder).status == "ok"
    assert leftovers(folder) == [file.name]


def test_an_unreadable_source_is_not_blamed_on_the_folder(tiny, file, tmp_path):
    with pytest.raises(Unusable, match=r"cannot be read \(No such file or directory\)"):
        place(tmp_path / "none", tiny.entry, file, tmp_path / "data")


def test_an_unknown_checksum_is_recorded_once(tiny, tmp_path, source):
    entry = tiny.with_mirrors(verified=False)
    file = entry.file("train-images")
    place(source, entry, file, tmp_path)
    first = recorded(entry, tmp_path)
    assert first == {file.name: tiny.entry.file("train-images").sha256}
    record(entry, file, tmp_path, "0" * 64)
    assert recorded(entry, tmp_path) == first
    source.write_bytes(gzip.compress(bytes(336)))
    with pytest.raises(Unusable, match="expected sha256"):
        place(source, entry, file, tmp_path)


def test_a_published_checksum_is_not_recorded(tiny, file, tmp_path, source):
    place(source, tiny.entry, file, tmp_path)
    assert recorded(tiny.entry, tmp_path) == {}


@pytest.mark.parametrize("call", ["os.fsync", "pathlib.Path.replace"])
@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left"), KeyboardInterrupt()])
def test_a_failure_at_any_moment_leaves_the_old_file(tmp_path, monkeypatch, call, failure):
    path = tmp_path / "file"
    write(path, [b"old"])

    def fail(*args):
        raise failure

    monkeypatch.setattr(call, fail)
    with pytest.raises((UserError, KeyboardInterrupt)):
        write(path, [b"new"])
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert leftovers(tmp_path) == ["file"]


def test_a_full_disk_is_said_plainly(tmp_path, monkeypatch):
    def full(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError) as caught:
        write(tmp_path / "file", [b"new"])
    assert str(caught.value) == (
        f"{tmp_path}: cannot be written (No space left on device); "
        "name another folder with --data-dir DIR or VAEBENCH_DATA"
    )


def test_a_file_where_the_folder_should_be(tmp_path):
    (tmp_path / "data").write_text("")
    with pytest.raises(UserError, match=r"data/tiny: cannot be written \(Not a directory\)"):
        write(Path(tmp_path / "data" / "tiny" / "file"), [b"new"])
