"""`vaebench fetch-data` as a user types it."""

import gzip
import os
import pty
import subprocess
import sys
import threading
from dataclasses import replace
from hashlib import sha256

import pytest
from packing import zipped
from specs import tiny_spec, write_spec

from vaebench.cli import fetch_data, main
from vaebench.cli.options import complete_data
from vaebench.data.catalog import CATALOG
from vaebench.data.checksums import check
from vaebench.data.download import Patience

local = pytest.mark.allow_hosts(["127.0.0.1"])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("VAEBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setattr("vaebench.data.fetch.Patience", lambda: Patience(0.3, 1, 0.0))
    return tmp_path / "data"


@pytest.fixture
def vaebench(capsys):
    """Runs a command line; its exit code, stdout and stderr."""

    def run(*arguments):
        with pytest.raises(SystemExit) as caught:
            main(list(arguments))
        captured = capsys.readouterr()
        return caught.value.code, captured.out, captured.err

    return run


@pytest.fixture
def served(tiny, mirror, monkeypatch):
    """The tiny data set on a mirror that has it, named in the catalogue."""
    mirror.serve_all(tiny.contents)
    monkeypatch.setitem(CATALOG, "tiny", tiny.with_mirrors(mirror.url))
    return mirror


def test_without_a_name_it_lists(tiny, folder, vaebench):
    code, out, err = vaebench("fetch-data")
    rows = [line.split("  ") for line in out.splitlines()]
    cells = {row[0]: [cell.strip() for cell in row[1:] if cell] for row in rows}
    assert code == 0 and err == f"data folder: {folder}\n"
    assert cells["name"] == ["kind", "state", "train / test", "title"]
    assert cells["mnist"][:3] == ["original", "missing (55 MB)", "60,000 / 10,000"]
    assert cells["digits-28x28"][:2] == ["stand-in", "made in code"]
    tiny.put(folder / "tiny")
    assert "  present  " in vaebench("fetch-data")[1]
    (folder / "tiny" / "test-labels-idx").unlink()
    assert "  3 of 4 files  " in vaebench("fetch-data")[1]


@local
def test_downloads_with_plain_lines_on_stderr(tiny, served, folder, vaebench):
    code, out, err = vaebench("fetch-data", "tiny")
    assert (code, out) == (0, "")
    lines = err.splitlines()
    assert lines[0] == "Tiny noise. Made for tests."
    assert lines[1:3] == [
        f"tiny/train-images-idx: from {served.url}train-images-idx.gz",
        "tiny/train-images-idx: ok and stored",
    ]
    assert len(lines) == 9
    code, _, err = vaebench("fetch-data", "tiny")
    assert code == 0 and err.splitlines()[0] == "tiny/train-images-idx: ok, already there"


@local
@pytest.mark.parametrize("packed", [False, True], ids=["files", "archive"])
def test_unverified_is_said_at_first_use_and_ever_after(
    tiny, served, folder, vaebench, monkeypatch, packed
):
    served.serve("set.zip", served.answer(zipped(tiny.members)))
    entry = tiny.with_mirrors(served.url, verified=False)
    if packed:
        entry = tiny.in_archive("set.zip", served.url, verified=False)
    monkeypatch.setitem(CATALOG, "tiny", entry)
    digest = tiny.entry.file("train-images").sha256
    line = f"tiny/train-images-idx: unverified (no published checksum; sha256 {digest})"
    code, _, err = vaebench("fetch-data", "tiny")
    assert code == 0 and f"{line} and stored" in err.splitlines()
    code, _, err = vaebench("fetch-data", "tiny")
    assert code == 0 and f"{line}, already there" in err.splitlines()
    code, out, _ = vaebench("fetch-data", "tiny", "--check")
    assert code == 0 and line in out.splitlines() and "ok" not in out

    changed = bytes(len(tiny.contents["train-images-idx"]))
    (folder / "tiny" / "train-images-idx").write_bytes(changed)
    code, out, _ = vaebench("fetch-data", "tiny", "--check")
    assert code == 1
    assert out.splitlines()[0] == (
        f"tiny/train-images-idx: wrong: expected sha256 {digest} (recorded on first use in "
        f"checksums.json), found sha256 {sha256(changed).hexdigest()}"
    )
    assert vaebench("fetch-data", "tiny")[0] == 0
    assert (folder / "tiny" / "train-images-idx").read_bytes() != changed


def test_check_says_what_is_not_recorded_yet(tiny, folder, vaebench, monkeypatch):
    """A check writes nothing; the next fetch does, also of files laid there by hand."""
    tiny.put(folder / "tiny")
    monkeypatch.setitem(CATALOG, "tiny", tiny.with_mirrors(verified=False))
    unrecorded = "unverified (no published checksum, none recorded yet; sha256 "
    assert vaebench("fetch-data", "tiny", "--check")[1].count(unrecorded) == 4
    assert vaebench("fetch-data", "tiny", "--check")[1].count(unrecorded) == 4
    assert "none recorded" not in vaebench("fetch-data", "tiny")[2]
    assert "none recorded" not in vaebench("fetch-data", "tiny", "--check")[1]


@local
def test_an_archive_is_one_download(tiny, served, folder, vaebench, monkeypatch):
    served.serve("set.zip", served.answer(zipped(tiny.members)))
    entry = tiny.in_archive("set.zip", f"{served.url}gone/", served.url)
    monkeypatch.setitem(CATALOG, "tiny", entry)
    code, out, err = vaebench("fetch-data", "tiny")
    assert (code, out) == (0, "")
    assert err.splitlines() == [
        "Tiny noise. Made for tests.",
        f"tiny/set.zip: from {served.url}gone/set.zip",
        f"tiny/set.zip: {served.url}gone/set.zip: HTTP 404 Not Found",
        f"tiny/set.zip: from {served.url}set.zip",
        *(f"tiny/{name}: ok and stored" for name in tiny.contents),
    ]
    code, out, _ = vaebench("fetch-data", "--check", "tiny")
    assert (code, out.splitlines()) == (0, [f"tiny/{name}: ok" for name in tiny.contents])


@local
def test_ctrl_c_keeps_the_part_of_an_archive(tiny, served, folder, vaebench, monkeypatch):
    served.serve("set.zip", served.answer(zipped(tiny.members)))
    monkeypatch.setitem(CATALOG, "tiny", tiny.in_archive("set.zip", served.url))

    def interrupt(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fetch_data._Lines, "unpacking", interrupt)
        code, _, err = vaebench("fetch-data", "tiny")
    part = folder / "tiny" / "set.zip.part"
    assert code == 130 and part.exists()
    assert err.splitlines()[-1] == (
        f"stopped; {part} is kept: `vaebench fetch-data tiny` goes on from there"
    )
    assert vaebench("fetch-data", "tiny")[0] == 0
    assert len(served.requests) == 1 and not part.exists()


def test_the_list_makes_up_no_size(tiny, folder, vaebench, monkeypatch):
    files = tuple(replace(file, size=None) for file in tiny.entry.files)
    monkeypatch.setitem(CATALOG, "tiny", replace(tiny.entry, files=files))
    rows = [" ".join(row.split()) for row in vaebench("fetch-data")[1].splitlines()]
    assert "tiny stand-in missing 20 / 10 Tiny noise" in rows


@local
def test_a_failed_download_is_exit_code_1(tiny, served, folder, vaebench):
    served.serve("train-labels-idx.gz", served.answer(status=404))
    code, out, err = vaebench("fetch-data", "tiny", "digits-28x28")
    url = f"{served.url}train-labels-idx.gz"
    assert (code, out) == (1, "")
    assert err.splitlines()[-5:] == [
        f"tiny/train-labels-idx: {url}: HTTP 404 Not Found",
        "vaebench: tiny: train-labels-idx could not be downloaded",
        f"  {url}: HTTP 404 Not Found",
        "with files from elsewhere: `vaebench fetch-data tiny --from DIR`",
        "digits-28x28: made in code, nothing to fetch",
    ]


@local
def test_ctrl_c_keeps_the_part(tiny, served, folder, vaebench, monkeypatch):
    packed = gzip.compress(tiny.contents["train-images-idx"])
    cut = served.answer(packed, cut=50, hang=True)
    served.serve("train-images-idx.gz", cut, served.answer(packed))

    def interrupt(self, file, done, total):
        if done:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fetch_data._Lines, "progress", interrupt)
        code, _, err = vaebench("fetch-data", "tiny")
    part = folder / "tiny" / "train-images-idx.part"
    assert code == 130
    assert err.splitlines()[-1] == (
        f"stopped; {part} is kept: `vaebench fetch-data tiny` goes on from there"
    )
    assert 0 < part.stat().st_size <= 50
    size = part.stat().st_size
    assert vaebench("fetch-data", "tiny")[0] == 0
    assert ("train-images-idx.gz", f"bytes={size}-") in served.requests
    assert not part.exists()


def test_ctrl_c_with_no_part(tiny, folder, vaebench, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(fetch_data, "fetch", interrupt)
    code, _, err = vaebench("fetch-data", "tiny")
    assert code == 130
    assert err.splitlines()[-1] == "stopped; what tiny has so far is complete and checked"


def test_import(tiny, folder, tmp_path, vaebench):
    tiny.put(tmp_path / "mine", packed=True)
    code, out, err = vaebench("fetch-data", "tiny", "--from", str(tmp_path / "mine"))
    assert (code, out) == (0, "")
    assert err.splitlines()[1] == "tiny/train-images-idx: ok and stored"
    assert all(state.status == "ok" for state in check(tiny.entry, folder))


def test_import_of_wrong_files_is_exit_code_2(tiny, folder, tmp_path, vaebench):
    code, _, err = vaebench("fetch-data", "tiny", "--from", str(tmp_path))
    assert code == 2
    assert err.splitlines()[-1].startswith(f"vaebench: {tmp_path}: train-images-idx of tiny is not")


def test_check(tiny, folder, vaebench):
    tiny.put(folder / "tiny")
    code, out, err = vaebench("fetch-data", "--check")
    assert (code, err) == (0, "")
    assert out.splitlines() == [f"tiny/{name}: ok" for name in tiny.contents]

    (folder / "tiny" / "train-images-idx").write_bytes(b"torn")
    (folder / "tiny" / "test-labels-idx").unlink()
    code, out, err = vaebench("fetch-data", "tiny", "--check")
    assert code == 1
    assert out.splitlines() == [
        "tiny/train-images-idx: wrong: expected 336 bytes, found 4 bytes",
        "tiny/train-labels-idx: ok",
        "tiny/test-images-idx: ok",
        "tiny/test-labels-idx: missing",
    ]
    mend = "`vaebench fetch-data tiny` fetches what is missing or wrong"
    assert err == f"vaebench: in {folder}: {mend}\n"


def test_check_of_nothing(folder, vaebench):
    assert vaebench("fetch-data", "--check") == (0, "", f"{folder} holds no data set\n")
    code, out, _ = vaebench("fetch-data", "--check", "digits-28x28")
    assert (code, out) == (0, "digits-28x28: made in code, nothing to check\n")


def test_data_dir_goes_before_the_environment(tiny, folder, tmp_path, vaebench):
    tiny.put(tmp_path / "other" / "tiny")
    other = ("--data-dir", str(tmp_path / "other"))
    assert vaebench("fetch-data", "tiny", "--check", *other)[0] == 0
    code, _, err = vaebench("fetch-data", "mnist", "--check", *other)
    assert code == 1 and f"`vaebench fetch-data mnist --data-dir {tmp_path / 'other'}`" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("mnits",),
            "vaebench: unknown data set or weights 'mnits'; did you mean mnist or omniglot?",
        ),
        (("--from", "x"), "Error: --from needs the NAME of what it holds"),
        (("mnist", "--from", "x", "--check"), "Error: --from and --check exclude each other"),
    ],
)
def test_wrong_usage(folder, vaebench, arguments, message):
    code, out, err = vaebench("fetch-data", *arguments)
    assert (code, out) == (2, "")
    assert err.splitlines()[-1] == message


def test_weights_are_listed_imported_and_checked(
    tiny_weights, folder, tmp_path, vaebench, monkeypatch
):
    def row():
        lines = vaebench("fetch-data")[1].splitlines()
        return next(" ".join(line.split()) for line in lines if line.startswith("tiny-weights"))

    assert row() == "tiny-weights weights missing (0 MB) - A tiny network"
    given = tmp_path / "whatever.pth"
    given.write_bytes(tiny_weights)
    code, out, err = vaebench("fetch-data", "tiny-weights", "--from", str(given))
    assert (code, out) == (0, "")
    assert err.splitlines() == [
        "A tiny network. Made for tests.",
        "tiny-weights/tiny.pth: ok and stored",
    ]
    assert row() == "tiny-weights weights present - A tiny network"
    assert vaebench("fetch-data", "--check")[:2] == (0, "tiny-weights/tiny.pth: ok\n")


def test_weights_are_no_data_set_of_a_run(tiny, folder, tmp_path, vaebench):
    path = write_spec(tmp_path, tiny_spec(groups={"G": {"data": {"dataset": "inception"}}}))
    code, _, err = vaebench("run", path, "--scale", "smoke", "--results-dir", str(tmp_path / "r"))
    assert code == 2
    assert "vaebench: 'inception' is the name of weights, not of a data set" in err


def test_a_folder_that_cannot_be_written(tiny, folder, vaebench):
    folder.write_text("a file")
    code, _, err = vaebench("fetch-data", "tiny")
    assert code == 2
    assert err.splitlines()[-1] == (
        f"vaebench: {folder / 'tiny'}: cannot be written (Not a directory); "
        "name another folder with --data-dir DIR or VAEBENCH_DATA"
    )


def test_names_are_completed():
    assert complete_data(None, None, "mn") == ["mnist"]
    assert complete_data(None, None, "inc") == ["inception"]


@local
@pytest.mark.parametrize("packed", [False, True], ids=["files", "archive"])
def test_a_bar_on_a_terminal(tiny, served, folder, vaebench, monkeypatch, packed):
    """The lines are the same, whole and unwrapped, whatever the terminal's width."""
    url = f"{served.url}train-images-idx.gz"
    if packed:
        url = served.serve("set.zip", served.answer(zipped(tiny.members)))
        monkeypatch.setitem(CATALOG, "tiny", tiny.in_archive("set.zip", served.url))
    leader, follower = pty.openpty()
    shown = []
    reader = threading.Thread(target=lambda: shown.extend(iter(lambda: _read(leader), b"")))
    reader.start()
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setenv("TERM", "xterm")
    with os.fdopen(follower, "w") as terminal, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", terminal)
        code, out, _ = vaebench("fetch-data", "tiny")
    reader.join()
    os.close(leader)
    text = b"".join(shown).decode()
    assert (code, out) == (0, "")
    assert f": from {url}" in text and "tiny/test-labels-idx: ok and stored" in text
    assert "\x1b[" in text


def _read(descriptor):
    try:
        return os.read(descriptor, 65536)
    except OSError:  # Linux's way to say that the other end is closed
        return b""


def test_torch_is_not_imported(tmp_path):
    code = (
        "import sys\nfrom vaebench.cli import main\n"
        "try: main(['fetch-data'])\n"
        "finally: print('torch' in sys.modules, 'numpy' in sys.modules, file=sys.stderr)"
    )
    environment = {**os.environ, "VAEBENCH_DATA": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stderr.splitlines()[-1] == "False False"
