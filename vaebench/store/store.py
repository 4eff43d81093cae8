"""The store: runs with weights, records without, results derived from records.

runs/<run-id>/run.json         configuration and numerics of a run that has started
              history.csv      one line an epoch
              checkpoint.pt    all that training needs to go on
              weights.pt       the finished model
              arrays/*.npz     pictures that evaluations made
              failure.json     why the last attempt failed; the next one removes it
records/<run-id>.json          configuration, provenance, history and evaluations of a finished run
<table>.<scale>….csv           written from the records
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from vaebench.errors import UserError
from vaebench.registry.canonical import canonical
from vaebench.registry.runs import Evaluation, Run
from vaebench.store.atomic import write_json, write_text

Record = dict[str, Any]

# Whoever asks whether a run is busy holds its lock for an instant: a worker waits that long.
_LOCK_PATIENCE = 0.2  # seconds


class BusyError(Exception):
    """Another process works on this run."""


class Store:
    """One results folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def prepare(self) -> None:
        """Make sure that results can be written, before hours are spent on them."""
        probe = self.root / f".probe-{os.getpid()}.json"
        try:
            write_json(probe, {"probe": "x" * 4096})
            probe.unlink()
        except OSError as error:
            raise UserError(
                f"the results folder {self.root} cannot be written: {error.strerror or error}; "
                "choose another with --results-dir"
            ) from error

    def run_dir(self, run_id: str) -> Path:
        return self.root / "runs" / run_id

    def checkpoint(self, run_id: str) -> Path:
        return self.run_dir(run_id) / "checkpoint.pt"

    def weights(self, run_id: str) -> Path:
        return self.run_dir(run_id) / "weights.pt"

    def array(self, run_id: str, evaluation: Evaluation) -> Path:
        return self.run_dir(run_id) / "arrays" / f"{evaluation.key}.npz"

    def record(self, run_id: str) -> Record | None:
        """The record of a finished run, or None. UserError for a damaged file."""
        path = self.record_path(run_id)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
        try:
            record: Record = json.loads(content)
            record["evaluations"], record["status"], record["configuration"]
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"{path}: not a record of vaebench or damaged; restore it or delete it"
            ) from error
        return record

    def records(self) -> Iterator[Record]:
        """Every record, in the order of the ids."""
        for path in sorted((self.root / "records").glob("*.json")):
            record = self.record(path.stem)
            if record is not None:
                yield record

    def write_record(self, record: Record) -> None:
        write_json(self.record_path(record["id"]), record)

    def has_values(self, run: Run, evaluation: Evaluation) -> bool:
        """Whether the evaluation need not be made: there are values, or, of a picture, which has
        none, its arrays; or the run diverged."""
        record = self.record(run.id)
        if record is None:
            return False
        if record["status"] == "diverged":
            return True
        entry = record["evaluations"].get(evaluation.key)
        if entry is None:
            return False
        # Arrays are not part of a record: on a fresh clone there are none.
        return bool(entry["values"]) or self.array(run.id, evaluation).exists()

    def start(self, run: Run, numerics: dict[str, Any]) -> dict[str, Any]:
        """Note that a run starts; returns the numerics it has, those of its first start."""
        path = self.run_dir(run.id) / "run.json"
        if path.exists() and self.checkpoint(run.id).exists():
            return _numerics(path)
        write_json(
            path, {"id": run.id, "configuration": plain(run.configuration), "numerics": numerics}
        )
        return numerics

    def add_epoch(self, run_id: str, epoch: int, terms: Mapping[str, float]) -> None:
        """Put an epoch into history.csv; what stood there from it on is from before a kill."""
        path = self.run_dir(run_id) / "history.csv"
        lines = self._history_lines(run_id)[:epoch] or [",".join(["epoch", *terms])]
        lines.append(",".join([str(epoch), *(f"{value:.6g}" for value in terms.values())]))
        write_text(path, "\n".join(lines) + "\n")

    def epochs_done(self, run_id: str) -> int:
        """Epochs of a run that has started."""
        return max(len(self._history_lines(run_id)) - 1, 0)

    def _history_lines(self, run_id: str) -> list[str]:
        try:
            text = (self.run_dir(run_id) / "history.csv").read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        return text.splitlines()

    def failure(self, run_id: str) -> dict[str, str] | None:
        """Why the last attempt failed."""
        path = self.run_dir(run_id) / "failure.json"
        try:
            failure: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return failure

    def write_failure(self, run_id: str, message: str, traceback: str) -> None:
        write_json(
            self.run_dir(run_id) / "failure.json", {"message": message, "traceback": traceback}
        )

    def clear_failure(self, run_id: str) -> None:
        (self.run_dir(run_id) / "failure.json").unlink(missing_ok=True)

    @contextmanager
    def lock(self, run_id: str) -> Iterator[None]:
        """Hold the run for this process; BusyError if another has it. The kernel frees the lock
        of a process that is killed."""
        folder = self.run_dir(run_id)
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / "lock", timeout=_LOCK_PATIENCE)
        try:
            lock.acquire()
        except Timeout as error:
            raise BusyError(run_id) from error
        try:
            self._sweep(run_id)
            yield
        finally:
            lock.release()

    @contextmanager
    def results_lock(self) -> Iterator[None]:
        """Hold the CSVs, each of which is read and written as one."""
        folder = self.root / "runs"
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "results.lock"):
            for leftover in self.root.glob(".*.csv.*"):
                leftover.unlink(missing_ok=True)
            yield

    def busy(self, run_id: str) -> bool:
        """Whether some process holds the run."""
        path = self.run_dir(run_id) / "lock"
        if not path.exists():
            return False
        lock = FileLock(path, timeout=0)
        try:
            lock.acquire()
        except (Timeout, OSError):
            return True
        lock.release()
        return False

    def record_path(self, run_id: str) -> Path:
        return self.root / "records" / f"{run_id}.json"

    def _sweep(self, run_id: str) -> None:
        """Remove what a killed process left half written; whoever calls holds the run's lock."""
        folder, record = self.run_dir(run_id), self.record_path(run_id)
        for place, pattern in (
            (folder, ".*.*"),
            (folder / "arrays", ".*.*"),
            (record.parent, f".{record.name}.*"),
        ):
            for leftover in place.glob(pattern):
                leftover.unlink(missing_ok=True)


def _numerics(path: Path) -> dict[str, Any]:
    """The numerics in a run.json."""
    try:
        stored: dict[str, Any] = json.loads(path.read_bytes())["numerics"]
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path}: damaged; delete its folder and run again") from error
    return stored


def plain(value: Any) -> Any:
    """`value` as it reads back from canonical JSON."""
    return json.loads(canonical(value))
