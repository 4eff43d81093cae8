"""The command line as tests use it: in this process, or as a process of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

import vaebench
from vaebench.cli import main

PATIENCE = 60.0  # seconds until a process that does nothing counts as stuck


def invoke(*arguments: object) -> Result:
    """Run a command here; an error that it does not answer for itself is raised."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        return CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)
    finally:
        signal.signal(signal.SIGTERM, handler)


def environment(**variables: str) -> dict[str, str]:
    """This environment, with this vaebench found first and one thread."""
    package = str(Path(vaebench.__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", **variables}


def with_plugins() -> dict[str, str]:
    """The variable that lets a process find the tests' plugins."""
    path = [environment()["PYTHONPATH"], str(Path(__file__).parent / "plugins")]
    return {"PYTHONPATH": os.pathsep.join(path)}


def start(*arguments: object, cwd: Path, **variables: str) -> "subprocess.Popen[str]":
    """Start `python -m vaebench`."""
    return subprocess.Popen(
        [sys.executable, "-m", "vaebench", *map(str, arguments)],
        cwd=cwd,
        env=environment(**variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_interrupts,
    )


def hear_interrupts() -> None:
    """Children of a shell's background job ignore Ctrl-C, and Python leaves that as it is."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def finish(process: "subprocess.Popen[str]") -> tuple[int, str, str]:
    """Wait for the end: exit code, stdout, stderr."""
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


def python(code: str, cwd: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run Python code in a process of its own."""
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=cwd,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


def wait_until(
    happened: Callable[[], Any], process: "subprocess.Popen[str]", every: float = 0.002
) -> bool:
    """Wait until something happened (True) or the process ended before it (False)."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if happened():
            return True
        if process.poll() is not None:
            return False
        time.sleep(every)
    process.kill()
    raise TimeoutError(f"nothing happened in {PATIENCE:.0f} s: {process.args}")


def leftovers(folder: Path) -> Iterator[Path]:
    """Temporary files that a write left behind."""
    return (path for path in folder.rglob(".*") if path.is_file())
