"""Members of archives that are good, hostile or torn."""

import gzip
import random
import tarfile
import zipfile
from contextlib import suppress

import pytest
from packing import PACKERS, tar, tar_entry, zipped

from vaebench.data import archives
from vaebench.data.archives import members
from vaebench.data.placing import Unusable

GOOD = {"set/a": b"aaaa" * 1000, "set/b": bytes(range(256)) * 20, "note": b""}
packed = pytest.mark.parametrize("packer", PACKERS.values(), ids=PACKERS)


@pytest.fixture
def read(tmp_path):
    """Writes an archive and reads members of it."""

    def run(content, *wanted):
        path = tmp_path / "archive"
        path.write_bytes(content)
        return {name: b"".join(chunks) for name, chunks in members(path, wanted)}

    return run


def refused(read, content, *wanted):
    with pytest.raises(Unusable) as caught:
        read(content, *wanted)
    return str(caught.value)


@packed
def test_members_come_whole_and_in_the_order_of_the_archive(read, packer):
    content = packer(GOOD)
    assert list(read(content, "note", "set/b", "set/a").items()) == list(GOOD.items())
    assert read(content, "set/b") == {"set/b": GOOD["set/b"]}


@packed
def test_a_leading_dot_is_not_part_of_the_name(read, packer):
    assert read(packer({"./set/a": b"a"}), "set/a") == {"set/a": b"a"}


def test_long_names_and_other_dialects_of_tar(read, tmp_path):
    name = "folder/" * 30 + "file"
    for dialect in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        path = tmp_path / "source"
        with tarfile.open(path, "w:gz", format=dialect) as archive:
            (tmp_path / "file").write_bytes(b"bytes")
            archive.add(tmp_path / "file", name)
        assert read(path.read_bytes(), name) == {name: b"bytes"}


@packed
@pytest.mark.parametrize("name", ["../evil", "/evil", "set/../../evil", "C:\\evil", "a\nb\x1b[1m"])
def test_names_in_the_archive_lead_nowhere(read, packer, tmp_path, name):
    content = packer({name: b"evil", "set/a": b"good"})
    assert read(content, "set/a") == {"set/a": b"good"}
    assert [path.name for path in tmp_path.iterdir()] == ["archive"]


@packed
def test_a_missing_member(read, packer):
    assert refused(read, packer(GOOD), "set/a", "set/c") == "holds no set/c"


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("twin", ["set/a", "./set/a"])
def test_a_member_that_is_there_twice(read, tmp_path, twin):
    twins = tmp_path / "twins"
    with zipfile.ZipFile(twins, "w") as archive:
        archive.writestr("set/a", b"one")
        archive.writestr(twin, b"two")
    assert refused(read, twins.read_bytes(), "set/a") == "holds set/a 2 times"
    content = tar({"set/a": b"one"}, extra=[tar_entry(twin)])
    assert refused(read, content, "set/a") == "holds set/a 2 times"


@pytest.mark.parametrize(
    "kind",
    [
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.DIRTYPE,
        tarfile.CHRTYPE,
        tarfile.BLKTYPE,
        tarfile.FIFOTYPE,
        tarfile.GNUTYPE_SPARSE,
    ],
)
def test_what_is_no_regular_file_in_a_tar_is_refused(read, kind):
    entry = tar_entry("set/a", type=kind, linkname="/etc/passwd")
    reason = refused(read, tar({"set/b": b"b"}, extra=[entry]), "set/a", "set/b")
    assert reason == "its set/a is a link or a folder, not a file"


def test_links_beside_the_members_are_passed_over(read, tmp_path):
    """The classic: a link out of the folder, then a file through it."""
    (tmp_path / "outside").mkdir()
    link = tar_entry("set", type=tarfile.SYMTYPE, linkname=str(tmp_path / "outside"))
    content = tar({"set/a": b"a"}, extra=[link])
    assert read(content, "set/a") == {"set/a": b"a"}
    assert list((tmp_path / "outside").iterdir()) == []


@pytest.mark.parametrize(("name", "mode"), [("set/a", 0o120777), ("set/a", 0o020666)])
def test_what_is_no_regular_file_in_a_zip_is_refused(read, tmp_path, name, mode):
    entry = zipfile.ZipInfo(name)
    entry.external_attr = mode << 16
    with zipfile.ZipFile(tmp_path / "links", "w") as archive:
        archive.writestr(entry, "/etc/passwd")
    reason = refused(read, (tmp_path / "links").read_bytes(), name)
    assert reason == "its set/a is a link or a folder, not a file"


def test_an_encrypted_member(read):
    content = bytearray(zipped({"set/a": b"secret"}))
    content[6] |= 1  # the flags in the local header, and those in the directory
    content[content.index(b"PK\x01\x02") + 8] |= 1
    assert refused(read, bytes(content), "set/a") == "its set/a is encrypted"


def test_an_unusual_compression(read):
    content = zipped({"set/a": b"a"}, zipfile.ZIP_LZMA)
    reason = "its set/a is compressed in a way that is not known here; unzip it"
    assert refused(read, content, "set/a") == reason


@packed
@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_torn_archive(read, packer, share):
    content = packer({f"set/{i}": random.Random(i).randbytes(5000) for i in range(5)})
    reason = refused(read, content[: int(share * len(content))], "set/4")
    assert reason.startswith(("corrupt zip", "corrupt tar.gz", "holds no set/4"))


@pytest.mark.parametrize("content", [b"", b"<html>", b"PK", b"x" * 9999, b"\x1f\x8b", None])
def test_what_is_no_archive(read, content):
    content = gzip.compress(b"text" * 999) if content is None else content
    assert refused(read, content, "set/a").startswith("corrupt ")


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(Unusable, match=r"^cannot be read \(No such file or directory\)$"):
        list(members(tmp_path / "none", ["a"]))


def test_a_changed_byte_is_found_without_a_checksum_of_ours(read):
    """Both gzip and zip carry one; an unverified file is the one they were made of."""
    content = {"set/a": random.Random(0).randbytes(5000)}
    for archive in (bytearray(zipped(content, zipfile.ZIP_STORED)), bytearray(tar(content))):
        archive[2000] ^= 1
        assert refused(read, bytes(archive), "set/a").startswith("corrupt ")


def test_a_changed_byte_after_the_member_is_found_before_it_is_given(tmp_path):
    """All of a tar.gz is read once before anything of it is used."""
    archive = bytearray(tar({"set/a": b"a", "rest": random.Random(0).randbytes(50_000)}))
    archive[-2000] ^= 1
    (tmp_path / "archive").write_bytes(archive)
    with pytest.raises(Unusable, match=r"^corrupt tar\.gz file"):
        next(members(tmp_path / "archive", ["set/a"]))


def header(size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    return tar_entry("set/a", size=size, type=kind).tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME])
@pytest.mark.parametrize("size", [1 << 32, -1024])
def test_a_header_does_not_fill_the_memory(read, kind, size):
    content = header(size, kind) + bytes(10_240)
    assert refused(read, content, "set/a") == "corrupt tar file (a header of impossible size)"


@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.GNUTYPE_SPARSE])
def test_sizes_below_zero_do_not_go_round_for_ever(read, kind):
    content = header(0) + header(-1024, kind) + bytes(10_240)
    assert refused(read, content, "set/a").startswith("corrupt ")


def test_a_tar_of_too_many_or_too_big_entries(read, monkeypatch):
    monkeypatch.setattr(archives, "_ENTRIES", 10)
    content = tar({str(i): b"" for i in range(20)})
    assert refused(read, content, "0") == "corrupt tar file (it has no end)"
    monkeypatch.setattr(archives, "_UNPACKED", 10_000)
    assert refused(read, tar({"a": bytes(20_000)}), "a") == "corrupt tar file (it has no end)"


def test_a_tail_without_end(read, monkeypatch):
    monkeypatch.setattr(archives, "_UNPACKED", 1 << 21)
    content = gzip.compress(tar({"a": b"a"}, "w") + bytes(1 << 22))
    assert refused(read, content, "a") == "corrupt tar file (it has no end)"


@packed
def test_any_damage_is_harmless(read, packer):
    """Right bytes or Unusable, whatever bytes are changed: nothing else is raised."""
    content, chance = packer(GOOD), random.Random(7)
    for _ in range(300):
        damaged = bytearray(content)
        for _ in range(chance.randrange(1, 6)):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        with suppress(Unusable):
            read(bytes(damaged), "set/a", "set/b")
