"""Fixtures for all tests: real data where there is some, a tiny data set, a local mirror."""

import gzip
import os
import threading
from collections import defaultdict
from dataclasses import dataclass, field, replace
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import torch

from vaebench import plugins
from vaebench.data.assets import Archive, Entry, StoredFile, Weights
from vaebench.data.catalog import CATALOG, WEIGHTS, lookup
from vaebench.data.checksums import check
from vaebench.data.fetch import import_from
from vaebench.data.folder import data_folder
from vaebench.errors import UserError


@pytest.fixture(scope="session", autouse=True)
def one_run_at_a_time():
    """Commands run in this process; tests of workers ask for them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VAEBENCH_JOBS", "1")
        yield


@pytest.fixture(autouse=True)
def plugins_forgotten(monkeypatch):
    """The modules that a test names are not those of the next."""
    monkeypatch.setattr(plugins, "_named", [])


@pytest.fixture(autouse=True)
def numerics_restored():
    """Threads and matmul route of this process as they were."""
    threads = torch.get_num_threads()
    switch = getattr(torch.backends.mkldnn, "matmul", None)
    precision = getattr(switch, "fp32_precision", None)
    yield
    torch.set_num_threads(threads)
    if precision is not None:
        switch.fp32_precision = precision


@pytest.fixture(scope="session")
def mnist_dir(tmp_path_factory):
    """A data folder that holds the real MNIST (mark such tests `real_data`)."""
    entry, folder = lookup("mnist"), data_folder()
    if all(state.good for state in check(entry, folder)):
        return folder
    source = os.environ.get("VAEBENCH_TEST_DATA")
    if not source:
        pytest.skip(f"MNIST is not in {folder}, and VAEBENCH_TEST_DATA names no folder with it")
    imported = tmp_path_factory.mktemp("data")
    import_from(Path(source), entry, imported)
    return imported


def real_data(name: str, told: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder that holds this data set; skips the test where there is none."""
    entry, folder = lookup(name), data_folder()
    if all(state.good for state in check(entry, folder)):
        return folder
    source, imported = os.environ.get("VAEBENCH_TEST_DATA"), tmp_path_factory.mktemp("data")
    absent = f"{told} are not in {folder}"
    if not source:
        pytest.skip(f"{absent}, and VAEBENCH_TEST_DATA names no folder with them")
    try:
        import_from(Path(source), entry, imported)
    except UserError as error:  # a folder with MNIST alone will do for the other tests
        pytest.skip(f"{absent}, nor in VAEBENCH_TEST_DATA ({str(error).splitlines()[0]})")
    return imported


@pytest.fixture(scope="session")
def omniglot_dir(tmp_path_factory):
    """A data folder that holds OMNIGLOT's drawings (mark such tests `real_data`)."""
    return real_data("omniglot-derived", "OMNIGLOT's drawings", tmp_path_factory)


@pytest.fixture(scope="session")
def cifar10_dir(tmp_path_factory):
    """A data folder that holds CIFAR-10 (mark such tests `real_data`)."""
    return real_data("cifar10", "CIFAR-10's images", tmp_path_factory)


@pytest.fixture(scope="session")
def cifar10_subset_dir(tmp_path_factory):
    """A data folder that holds CIFAR-10's first images (mark such tests `real_data`)."""
    return real_data("cifar10-subset", "CIFAR-10's first images", tmp_path_factory)


@dataclass(frozen=True)
class Tiny:
    """A data set of the format of MNIST: 20 and 10 images of 4x4 in two classes."""

    entry: Entry
    contents: dict[str, bytes]

    def put(self, folder: Path, packed: bool = False) -> None:
        """Lay all its files into `folder`."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in self.contents.items():
            path = folder / (f"{name}.gz" if packed else name)
            path.write_bytes(gzip.compress(content) if packed else content)

    def with_mirrors(self, *urls: str, verified: bool = True) -> Entry:
        """Its entry with other mirrors, or as if its checksums were not published."""
        files = tuple(
            replace(
                file,
                mirrors=tuple(f"{url}{file.name}.gz" for url in urls),
                sha256=file.sha256 if verified else None,
            )
            for file in self.entry.files
        )
        return replace(self.entry, files=files)

    def in_archive(self, name: str, *urls: str, verified: bool = True) -> Entry:
        """Its entry as if all its files were members, under `set/`, of an archive."""
        archive = Archive(name, tuple(f"{url}{name}" for url in urls), aliases=("downloaded",))
        files = tuple(
            replace(
                file,
                archive=archive,
                member=f"set/{file.part}.bin",
                sha256=file.sha256 if verified else None,
            )
            for file in self.entry.files
        )
        return replace(self.entry, files=files)

    @property
    def members(self) -> dict[str, bytes]:
        """What is in that archive."""
        files = self.entry.files
        return {f"set/{file.part}.bin": self.contents[file.name] for file in files}


def idx_bytes(array: np.ndarray) -> bytes:
    """An idx file of unsigned bytes."""
    header = np.array([0x800 + array.ndim, *array.shape], ">u4").tobytes()
    return header + array.astype(np.uint8).tobytes()


@pytest.fixture
def tiny(monkeypatch):
    """A tiny data set, in the catalogue as `tiny`."""
    rng = np.random.Generator(np.random.PCG64(0))
    contents, files = {}, []
    for split, size in (("train", 20), ("test", 10)):
        arrays = {
            "images": rng.integers(0, 256, (size, 4, 4)),
            "labels": np.arange(size) % 2,
        }
        for what, array in arrays.items():
            name, content = f"{split}-{what}-idx", idx_bytes(array)
            contents[name] = content
            digest = sha256(content).hexdigest()
            files.append(StoredFile(f"{split}-{what}", name, len(content), digest))
    entry = Entry(
        name="tiny",
        title="Tiny noise",
        kind="stand-in",
        splits={"train": 20, "test": 10},
        shape=(1, 4, 4),
        classes=2,
        terms="Made for tests.",
        files=tuple(files),
        folders=("tiny", "raw"),
    )
    monkeypatch.setitem(CATALOG, "tiny", entry)
    return Tiny(entry, contents)


@pytest.fixture
def tiny_weights(monkeypatch):
    """The bytes of a file of weights that is in the catalogue as `tiny-weights`."""
    content = b"weights"
    file = StoredFile("weights", "tiny.pth", len(content), sha256(content).hexdigest())
    weights = Weights(
        name="tiny-weights", title="A tiny network", terms="Made for tests.", files=(file,)
    )
    monkeypatch.setitem(WEIGHTS, "tiny-weights", weights)
    return content


@dataclass(frozen=True)
class Answer:
    """What a mirror answers: it may stop after `cut` bytes of the body, and then may hang."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    etag: str | None = '"1"'
    cut: int | None = None
    hang: bool = False
    ranges: bool = True


class Mirror:
    """A web server on 127.0.0.1. The answers to a path are given in turn, the last for ever."""

    answer = Answer

    def __init__(self) -> None:
        self.answers: dict[str, list[Answer]] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.agents: set[str] = set()
        self.released = threading.Event()
        self._given: dict[str, int] = defaultdict(int)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"

    def serve(self, path: str, *answers: Answer) -> str:
        """Set the answers to a path; its URL."""
        self.answers[path] = list(answers)
        return self.url + path

    def serve_all(self, contents: dict[str, bytes], under: str = "") -> None:
        """Serve files, gzip-compressed."""
        for name, content in contents.items():
            self.serve(f"{under}{name}.gz", Answer(gzip.compress(content, mtime=0)))

    def next_answer(self, path: str) -> Answer:
        answers = self.answers.get(path, [Answer(status=404)])
        turn, self._given[path] = self._given[path], self._given[path] + 1
        return answers[min(turn, len(answers) - 1)]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *args):
                pass

            def do_GET(self):
                path, wanted = self.path.lstrip("/"), self.headers.get("Range")
                mirror.requests.append((path, wanted))
                mirror.agents.add(self.headers.get("User-Agent"))
                answer = mirror.next_answer(path)
                start, status = 0, answer.status
                fresh = self.headers.get("If-Range") in (None, answer.etag)
                if wanted and answer.ranges and fresh and status == 200:
                    start, status = int(wanted.removeprefix("bytes=").rstrip("-")), 206
                    if start >= len(answer.body):
                        start, status = len(answer.body), 416
                self.send_response(status)
                if status == 206:
                    last, total = len(answer.body) - 1, len(answer.body)
                    self.send_header("Content-Range", f"bytes {start}-{last}/{total}")
                if answer.etag:
                    self.send_header("ETag", answer.etag)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body) - start))
                self.end_headers()
                self.wfile.write(answer.body[start : answer.cut])
                if answer.hang:
                    self.wfile.flush()
                    mirror.released.wait(20)

        return Handler


@pytest.fixture
def mirror(monkeypatch):
    """A running Mirror (mark such tests `allow_hosts(["127.0.0.1"])`)."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    running = Mirror()
    thread = threading.Thread(target=running.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield running
    running.released.set()
    running.server.shutdown()
    running.server.server_close()
    thread.join()
