"""Where a number comes from: code, versions, machine."""

import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import vaebench

Code = dict[str, str | bool | None]


_adopted: Code = {}


def adopt_code(code: Code) -> None:
    """Take over what the process that started this one knows of the code."""
    _adopted.update(code)


def code() -> Code:
    """Version and, from a checkout, the commit and whether files differ from it, when this was
    first asked: a commit made while runs go on is not the code that made them."""
    return _adopted or _read_code()


@cache
def _read_code() -> Code:
    commit = _git("rev-parse", "HEAD")
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", "vaebench", "benchmarks")
    return {
        "vaebench": vaebench.__version__,
        "commit": commit,
        "modified": None if commit is None else bool(changed),
    }


@cache
def machine() -> dict[str, str | None]:
    """Python, libraries and processor; no host name and no path."""
    return {
        "python": platform.python_version(),
        "torch": _version("torch"),
        "numpy": _version("numpy"),
        "scikit-learn": _version("scikit-learn"),
        "system": platform.system(),
        "cpu": _cpu(),
    }


def _git(*arguments: str) -> str | None:
    """The output of git in the checkout of this package; None outside one."""
    root = Path(vaebench.__file__).resolve().parent.parent
    if not (root / ".git").exists():
        return None
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
