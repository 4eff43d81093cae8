"""One process works on a run; the kernel frees the lock of one that is killed."""

import signal
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest
from filelock import FileLock

from vaebench.store.store import BusyError, Store

HOLDER = """
import sys, time
from pathlib import Path
from vaebench.store.store import Store
with Store(Path(sys.argv[1])).lock("run"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path)


@contextmanager
def holder(store):
    """Another process that holds the run."""
    command = [sys.executable, "-c", HOLDER, str(store.root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_second_process_is_kept_out_until_the_first_dies(store):
    with holder(store) as process:
        assert store.busy("run")
        with pytest.raises(BusyError), store.lock("run"):
            pass
        with store.lock("another run"):
            assert store.busy("another run")
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not store.busy("run")
        with store.lock("run"):
            assert store.busy("run")


def test_the_lock_is_free_again_after_an_error(store):
    with pytest.raises(KeyboardInterrupt), store.lock("run"):
        raise KeyboardInterrupt
    assert not store.busy("run")
    with store.lock("run"):
        pass


def test_a_run_that_never_started_is_not_busy(store):
    assert not store.busy("run")
    assert not store.run_dir("run").exists()


def test_looking_does_not_take_a_run_away(store):
    """`status` holds the lock for an instant; a worker that comes by then still gets the run."""
    with store.lock("run"):
        pass
    looking = FileLock(store.run_dir("run") / "lock", thread_local=False)
    looking.acquire()
    release = threading.Timer(0.05, looking.release)
    release.start()
    with store.lock("run"):
        assert store.busy("run")
    release.join()


def test_what_a_killed_process_left_half_written_goes(store):
    folder = store.run_dir("run")
    leftovers = [
        folder / ".checkpoint.pt.a1b2c3",
        folder / "arrays" / ".prior_means.npz.a1b2c3",
        store.root / "records" / ".run.json.a1b2c3",
    ]
    kept = [
        folder / "checkpoint.pt",
        folder / "arrays" / "prior_means.npz",
        store.root / "records" / "run.json",
        store.root / "records" / ".run2.json.a1b2c3",  # another run's, perhaps being written
    ]
    for path in (*leftovers, *kept):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    with store.lock("run"):
        assert [path for path in leftovers if path.exists()] == []
        assert [path for path in kept if not path.exists()] == []
