"""A write leaves the old file or the new one, whatever happens in between."""

import errno
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vaebench.store import atomic

FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
ERRORS = [FULL, PermissionError(errno.EACCES, "no"), KeyboardInterrupt(), MemoryError()]


class HalfStream:
    """A stream that takes the first half of what it is given and then fails."""

    def __init__(self, stream, error):
        self.stream, self.error = stream, error

    def __enter__(self):
        return self

    def __exit__(self, *details):
        self.stream.close()

    def write(self, data):
        self.stream.write(data[: len(data) // 2])
        self.stream.flush()
        raise self.error


def fail_at(point, error, monkeypatch):
    """Make one step of a write raise `error`."""

    def fail(*arguments, **options):
        raise error

    if point == "write":
        opened = Path.open
        monkeypatch.setattr(Path, "open", lambda *a: HalfStream(opened(*a), error))
    elif point == "fsync":
        monkeypatch.setattr(atomic.os, "fsync", fail)
    else:
        monkeypatch.setattr(Path, point, fail)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("point", ["open", "write", "fsync", "replace"])
@pytest.mark.parametrize("old", [b"old", None], ids=["over-a-file", "new-file"])
def test_a_failed_write_changes_nothing(old, point, error, tmp_path, monkeypatch):
    path = tmp_path / "folder" / "file"
    path.parent.mkdir()
    if old is not None:
        path.write_bytes(old)
    with monkeypatch.context() as patch:
        fail_at(point, error, patch)
        with pytest.raises(type(error)):
            atomic.write_bytes(path, b"new content")
    assert [p.name for p in path.parent.iterdir()] == ([] if old is None else ["file"])
    assert old is None or path.read_bytes() == old
    atomic.write_bytes(path, b"new content")
    assert path.read_bytes() == b"new content"


@pytest.mark.parametrize("old", [b"old", None], ids=["over-a-file", "new-file"])
def test_ctrl_c_at_any_line_leaves_nothing_behind(old, tmp_path):
    """A first interrupt before every line that writing runs, its callees in Python included."""
    path = tmp_path / "file"

    def interrupted_at(line):
        """Write, and raise at the given line; whether there was one to raise at."""
        seen = 0

        def trace(frame, event, argument):
            nonlocal seen
            if event == "line":
                seen += 1
                if seen == line:
                    raise KeyboardInterrupt
            return trace

        before = sys.gettrace()
        sys.settrace(trace)
        try:
            atomic.write_bytes(path, b"new content")
        except KeyboardInterrupt:
            return True
        finally:
            sys.settrace(before)
        return False

    line = 1
    while True:
        path.unlink(missing_ok=True)
        if old is not None:
            path.write_bytes(old)
        if not interrupted_at(line):
            break
        assert {p.name for p in tmp_path.iterdir()} <= {"file"}, line
        assert (path.read_bytes() if path.exists() else None) in (old, b"new content"), line
        line += 1
    assert line > 12
    assert path.read_bytes() == b"new content"


def test_the_content_is_on_disk_before_it_gets_its_name(tmp_path, monkeypatch):
    path, order = tmp_path / "file", []
    fsync, replace = os.fsync, Path.replace

    def note_fsync(descriptor):
        order.append(("fsync", os.fstat(descriptor).st_size))
        fsync(descriptor)

    def note_replace(source, target):
        order.append(("replace", source.stat().st_size))
        return replace(source, target)

    monkeypatch.setattr(atomic.os, "fsync", note_fsync)
    monkeypatch.setattr(Path, "replace", note_replace)
    atomic.write_bytes(path, b"12345")
    assert order == [("fsync", 5), ("replace", 5)]


def test_files_have_the_mode_that_the_user_asks_for(tmp_path):
    before = os.umask(0o027)
    try:
        atomic.write_text(tmp_path / "file", "text")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


@given(text=st.text(st.characters(codec="utf-8")))
@settings(deadline=None, max_examples=30)
def test_text_reads_back(text, tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "file"
    atomic.write_text(path, text)
    assert path.read_bytes().decode() == text


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object()])
def test_what_json_cannot_say_is_not_written(value, tmp_path):
    path = tmp_path / "file.json"
    atomic.write_json(path, {"x": 1})
    old = path.read_bytes()
    with pytest.raises((ValueError, TypeError)):
        atomic.write_json(path, {"x": value})
    assert path.read_bytes() == old


def test_a_killed_writer_leaves_a_whole_file(tmp_path):
    """SIGKILL in the middle of writing, at five moments: one content or the other, never a mix."""
    size = 4_000_000
    path = tmp_path / "file"
    path.write_bytes(b"a" * size)
    script = textwrap.dedent(f"""
        from pathlib import Path
        from vaebench.store.atomic import write_bytes
        print("started", flush=True)
        while True:
            for letter in (b"b", b"c"):
                write_bytes(Path({str(path)!r}), letter * {size})
    """)
    for delay in (0.011, 0.023, 0.037, 0.052, 0.071):
        with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as writer:
            writer.stdout.readline()
            time.sleep(delay)
            writer.send_signal(signal.SIGKILL)
        content = path.read_bytes()
        assert len(content) == size
        assert len(set(content)) == 1
