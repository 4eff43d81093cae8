"""Checking what lies in the data folder."""

import json

import pytest

from vaebench.data.checksums import check, check_file, expected_sha256, present, recorded
from vaebench.errors import UserError


@pytest.fixture
def place(tiny, tmp_path):
    tiny.put(tmp_path / "tiny")
    return tmp_path / "tiny"


def test_good_files(tiny, tmp_path, place):
    assert {state.status for state in check(tiny.entry, tmp_path)} == {"ok"}
    assert present(tiny.entry, tmp_path) == 4


def test_missing_short_and_altered_files(tiny, tmp_path, place):
    images, labels, test_images, _ = (place / file.name for file in tiny.entry.files)
    images.unlink()
    labels.write_bytes(labels.read_bytes()[:-1])
    content = bytearray(test_images.read_bytes())
    content[40] ^= 1
    test_images.write_bytes(content)
    states = check(tiny.entry, tmp_path)
    assert [state.status for state in states] == ["missing", "wrong", "wrong", "ok"]
    assert [state.good for state in states] == [False, False, False, True]
    assert (states[1].expected, states[1].found) == ("28 bytes", "27 bytes")
    assert states[2].expected == f"sha256 {tiny.entry.files[2].sha256}"
    assert states[2].found.startswith("sha256 ") and states[2].found != states[2].expected
    assert present(tiny.entry, tmp_path) == 3


def test_without_a_published_checksum_a_file_is_unverified(tiny, tmp_path, place):
    entry = tiny.with_mirrors(verified=False)
    assert {state.status for state in check(entry, tmp_path)} == {"unverified"}


def test_a_recorded_checksum_binds(tiny, tmp_path, place):
    entry = tiny.with_mirrors(verified=False)
    file = entry.files[0]
    (place / "checksums.json").write_text(json.dumps({file.name: "0" * 64}))
    assert expected_sha256(entry, file, tmp_path) == "0" * 64
    assert check_file(entry, file, tmp_path).status == "wrong"


@pytest.mark.parametrize("text", ["{", "[]", "\x00"])
def test_a_torn_record_is_named(tiny, tmp_path, place, text):
    (place / "checksums.json").write_text(text)
    with pytest.raises(UserError, match=r"checksums.json: cannot be read \(.*\); delete it"):
        recorded(tiny.entry, tmp_path)


def test_an_unreadable_file_is_named(tiny, tmp_path, place, monkeypatch):
    def refuse(*args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("vaebench.data.checksums.hashlib.file_digest", refuse)
    with pytest.raises(UserError, match=r"train-images-idx: cannot be read \(Permission denied\)"):
        check(tiny.entry, tmp_path)
