"""A plugin that kills its process while a CSV is written: within or after, by KILL_AT."""

import os
import signal
from pathlib import Path

from vaebench.store import atomic

replace, write = os.replace, atomic.write_bytes


def is_cells(path: Path) -> bool:
    return path.suffix == ".csv" and path.name != "history.csv"


def die(moment: str) -> None:
    if os.environ["KILL_AT"] == moment:
        os.kill(os.getpid(), signal.SIGKILL)


def write_bytes(path, data):
    if not is_cells(path):
        write(path, data)
        return
    write(path, data)
    die("after")


def replace_csv(source, target):
    if is_cells(Path(target)):
        die("within")
    replace(source, target)


atomic.write_bytes, atomic.os.replace = write_bytes, replace_csv
