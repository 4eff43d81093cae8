"""One run from its configuration to its record, under the run's lock."""

import contextlib
import io
import math
import resource
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from vaebench import evaluation, methods
from vaebench.data.dataset import Dataset
from vaebench.data.loading import Views
from vaebench.errors import UserError
from vaebench.execution.plan import Work
from vaebench.execution.report import Reporter
from vaebench.registry.canonical import digest
from vaebench.registry.runs import DataView, Evaluation, Run
from vaebench.store import provenance
from vaebench.store.atomic import write_bytes
from vaebench.store.store import Record, Store, plain
from vaebench.training import checkpoints
from vaebench.training.loop import Epoch, Trained, train
from vaebench.training.monitors import make_monitor
from vaebench.training.numerics import Numerics


def execute(
    work: Work,
    views: Views,
    store: Store,
    numerics: Numerics,
    reporter: Reporter,
    *,
    again: bool = False,
) -> Record:
    """Train the run unless it is finished, make the evaluations that are missing, and return the
    record. `again` repeats evaluations that are there. Whoever calls holds the run's lock, and its
    input runs are finished."""
    run = work.run
    store.clear_failure(run.id)
    record = store.record(run.id)
    wanted = dict(work.evaluations)
    if record is not None and _needs_weights(work, record, store, again):
        # A record without its weights, as on a fresh clone: the model is trained again, and what
        # was evaluated on the old one is evaluated on the new one, so that one model stands behind
        # all numbers of a record.
        # (Those that took other runs' models, or files, are made again when a table asks for them:
        # neither need be here.)
        for old in record["evaluations"].values():
            if "inputs" not in old and "files" not in old:
                entry = _stored_evaluation(old)
                wanted.setdefault(entry.key, entry)
        record = None
    if record is None:
        record, weights = _train(work, views, store, numerics, reporter)
        # The record first: weights beside an older record would pass for that record's model.
        store.write_record(record)
        if record["status"] == "done":
            checkpoints.save({"model": weights}, store.weights(run.id))
    store.checkpoint(run.id).unlink(missing_ok=True)
    if record["status"] == "done":
        _evaluate(work, wanted, views, store, record, reporter, again)
    return record


def _stored_evaluation(old: Mapping[str, Any]) -> Evaluation:
    """An evaluation that a record holds and that took no models and no files."""
    view = DataView.model_validate(old["data"]) if "data" in old else None
    return Evaluation(old["name"], old["parameters"], data=view)


def trained_model(run: Run, views: Views, store: Store) -> nn.Module:
    """The model of a finished run, in evaluation mode and without gradients, on the CPU."""
    model = methods.build(
        run.method, views.load(run.data).info, run.arguments, _models(run.inputs, views, store)
    ).model
    checkpoints.load_weights(model, store.weights(run.id))
    return model.eval().requires_grad_(False)


def _models(runs: Mapping[str, Run], views: Views, store: Store) -> dict[str, nn.Module]:
    """The trained models of input runs."""
    for name, needed in runs.items():
        if not store.weights(needed.id).exists():
            raise UserError(f"{name}, its input {needed.id}, has no weights here; run it again")
    return {name: trained_model(needed, views, store) for name, needed in runs.items()}


def needs_training_again(work: Work, store: Store) -> bool:
    """Whether a finished run must be trained again because its weights are needed and not here."""
    record = store.record(work.run.id)
    return record is not None and _needs_weights(work, record, store, again=False)


def _needs_weights(work: Work, record: Record, store: Store, again: bool) -> bool:
    if record["status"] == "diverged" or store.weights(work.run.id).exists():
        return False
    return again or work.trains(store)


def _train(
    work: Work, views: Views, store: Store, numerics: Numerics, reporter: Reporter
) -> tuple[Record, dict[str, Tensor]]:
    """Train to the end: a record without evaluations, and the weights."""
    run = work.run
    settings = Numerics(**store.start(run, numerics.as_dict()))
    device = settings.apply()
    _forget_peak()

    def report(epoch: int, terms: Epoch) -> None:
        store.add_epoch(run.id, epoch, terms)
        reporter.epoch_done(work, epoch, terms)

    data = views.load(run.data)
    here = data.to(device)
    inputs = _models(run.inputs, views, store)
    torch.manual_seed(run.seed)
    recipe = methods.build(run.method, data.info, run.arguments, inputs)
    trains = recipe.at(settings.precision, device)
    # Text is large products of many shapes: each would be compiled anew, and for nothing.
    compiles = settings.compile and not data.info.vocabulary
    trained = Trained([], 0.0)
    if run.training is not None:
        trained = train(
            trains.compiled() if compiles else trains,
            here,
            run.training,
            seed=run.seed,
            device=device,
            checkpoint=store.checkpoint(run.id),
            monitor=make_monitor(recipe, run.training, here),
            report=report,
        )
    weights = recipe.model.state_dict()
    record = {
        "id": run.id,
        "sentence": run.sentence,
        "status": "done" if trained.diverged is None else "diverged",
        "reason": trained.diverged or trained.stopped,
        "configuration": plain(run.configuration),
        "provenance": {
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "training_seconds": round(trained.seconds, 2),
            "evaluation_seconds": 0.0,
            "peak_mb": _peak_mb(),
            "disk_mb": round(sum(w.nbytes for w in weights.values()) / 2**20, 2),
            "parameters": sum(p.numel() for p in recipe.model.parameters()),
            "data_sha256": data.sha256,
            "data_kind": data.info.kind,
            "numerics": settings.as_dict(),
            "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
            **provenance.code(),
            **provenance.machine(),
        },
        "history": _columns(trained.history),
        "evaluations": {},
    }
    return record, weights


def _evaluate(
    work: Work,
    wanted: dict[str, Evaluation],
    views: Views,
    store: Store,
    record: Record,
    reporter: Reporter,
    again: bool,
) -> None:
    run = work.run
    open_evaluations = {
        key: entry for key, entry in wanted.items() if again or not store.has_values(run, entry)
    }
    if not open_evaluations:
        return
    device = Numerics(**record["provenance"]["numerics"]).apply()
    model = trained_model(work.run, views, store).to(device)
    for key, entry in open_evaluations.items():
        reporter.evaluating(work, entry.name)
        started = time.perf_counter()
        here = views.load(entry.data or run.data).to(device)
        if entry.data is None:
            _require_same(here, record)
        judges = _models(entry.inputs, views, store)
        taken = {name: judge.to(device) for name, judge in judges.items()} | {
            name: views.weights(file) for name, file in entry.files.items()
        }
        values = evaluate(work.run, entry, model, here, store, taken)
        record["evaluations"][key] = {
            "name": entry.name,
            "parameters": plain(entry.parameters),
            **({"inputs": {n: run.id for n, run in entry.inputs.items()}} if entry.inputs else {}),
            **({"files": dict(entry.files)} if entry.files else {}),
            **({"data": entry.data.model_dump(exclude_none=True)} if entry.data else {}),
            "values": values,
        }
        seconds = time.perf_counter() - started
        record["provenance"]["evaluation_seconds"] = round(
            record["provenance"]["evaluation_seconds"] + seconds, 2
        )
        store.write_record(record)


def _require_same(data: Dataset, record: Record) -> None:
    """UserError unless the model was trained on these very data."""
    then = record["provenance"]["data_sha256"]
    if then != data.sha256:
        raise UserError(
            f"{data.info.name} is not what this run was trained on (sha256 {then} then, "
            f"{data.sha256} now): bring the old data back, or train with another --results-dir"
        )


def evaluate(
    run: Run,
    entry: Evaluation,
    model: nn.Module,
    data: Dataset,
    store: Store,
    taken: Mapping[str, Any] = {},
) -> dict[str, Any]:
    """The plain values of one evaluation, which takes these models and paths by argument; its
    arrays go into a file of their own."""
    torch.manual_seed(int(digest([run.id, entry.key]), 16))
    found = evaluation.evaluators()[entry.name](model, data, **entry.parameters, **taken)
    for name, value in found.items():
        if isinstance(value, float) and not math.isfinite(value):
            raise UserError(f"{entry.name}: {name} is {value}")
    arrays = {name: value for name, value in found.items() if isinstance(value, np.ndarray)}
    if arrays:
        _write_arrays(store.array(run.id, entry), arrays)
    return {name: value for name, value in found.items() if name not in arrays}


def _write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    buffer = io.BytesIO()
    # The stub takes every name for numpy's own option; older numpy has no such option.
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    write_bytes(path, buffer.getbuffer())


def _columns(history: list[Epoch]) -> dict[str, list[float]]:
    """The history by term, six digits: enough to draw, small enough to keep with the record."""
    terms = list(history[0]) if history else []
    return {term: [float(f"{epoch[term]:.6g}") for epoch in history] for term in terms}


def _forget_peak() -> None:
    """Let the peak of memory count from now, where Linux can: a worker does many runs."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _peak_mb() -> float:
    """The largest resident memory of this process since the run began, or so far elsewhere."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return round(int(status.partition("VmHWM:")[2].split()[0]) / 2**10, 1)
    except (OSError, IndexError):  # not Linux, whose rusage also counts the process that forked us
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return round(peak / (2**20 if sys.platform == "darwin" else 2**10), 1)
