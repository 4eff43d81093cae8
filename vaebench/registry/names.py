"""What specs there are, by file name alone: all that the shell's completion needs."""

from functools import cache
from pathlib import Path

from vaebench.errors import UserError

SCALES = ("paper", "small", "smoke")
PAPERS = ("du-vae", "igp", "mae", "ar-elbo")


@cache
def benchmarks_dir() -> Path:
    """The specs: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    for candidate in (package / "benchmarks", package.parent / "benchmarks"):
        if (candidate / PAPERS[0]).is_dir():
            return candidate
    raise UserError("the folder benchmarks/ is missing: install vaebench again")


def _paths(kind: str) -> dict[str, Path]:
    """The spec files of one kind (`table` or `figure`) by id, in the papers' order."""
    found: dict[str, Path] = {}
    for paper in PAPERS:
        files = (benchmarks_dir() / paper).glob(f"{kind}*.yaml")
        for path in sorted(files, key=lambda path: (len(path.stem), path.stem)):
            found[f"{paper}-{path.stem}"] = path
    return found


@cache
def table_paths() -> dict[str, Path]:
    """The built-in tables: id to file."""
    return _paths("table")


@cache
def figure_paths() -> dict[str, Path]:
    """The built-in figures: id to file."""
    return _paths("figure")
