"""What goes wrong in one run stays in that run, is told, and is tried again."""

import errno
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from commands import invoke, leftovers, python
from specs import column

from vaebench import evaluation
from vaebench.data.dataset import DataInfo
from vaebench.errors import UserError
from vaebench.execution import local, session
from vaebench.methods import method
from vaebench.methods.igp import vae
from vaebench.objectives.elbo import negative_elbo
from vaebench.results.cells import measure
from vaebench.store import atomic
from vaebench.training import checkpoints
from vaebench.training.recipe import Recipe

ERROR = RuntimeError("the decoder is upside down")
HERE = __name__.rpartition(".")[2]


def small_model(data, latent, hidden):
    return vae(data, latent=latent, hidden=hidden, posterior="diagonal").model


def throwing(error=ERROR):
    """Register a method that raises `error` in its first step."""

    def throws(data: DataInfo, *, latent: int, hidden: list[int]) -> Recipe:
        def objective(model, batch, clock):
            raise error

        return Recipe(small_model(data, latent, hidden), objective)

    method(throws)
    return f"{HERE}.throws"


def diverging(first_step, calls):
    """Register a method whose loss is NaN from a step on; `calls` notes each start."""

    def diverges(data: DataInfo, *, latent: int, hidden: list[int]) -> Recipe:
        calls.append(None)

        def objective(model, batch, clock):
            terms = negative_elbo(model, batch, clock)
            factor = float("nan") if clock.step >= first_step else 1.0
            return {**terms, "loss": terms["loss"] * factor}

        return Recipe(small_model(data, latent, hidden), objective)

    method(diverges)
    return f"{HERE}.diverges"


def states(bench):
    return {
        (key.row, key.column): c.state for key, c in measure(bench.expansion(), bench.store).items()
    }


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ERROR, "RuntimeError: the decoder is upside down"),
        (UserError("mend it so"), "mend it so"),
        (MemoryError(), "MemoryError: "),
    ],
    ids=["bug", "user error", "memory"],
)
def test_a_failing_run_fails_alone(error, reason, bench):
    bench.spec["rows"]["A"] = {"method": throwing(error)}
    outcome, log = bench.run()
    assert outcome.failed
    assert outcome.counts == {"failed": 2, "done": 2}
    assert [event[1:] for event in log.of("done")][:2] == [("failed", reason)] * 2
    for run in bench.runs("A"):
        failure = bench.store.failure(run.id)
        assert failure["message"] == reason
        assert "Traceback" in failure["traceback"]
        assert bench.store.record(run.id) is None
    assert states(bench) == {("A", "Rec."): "failed", ("B", "Rec."): "measured"}


def test_a_failure_is_told_by_every_command_and_never_kept(bench):
    bench.spec["rows"]["A"] = {"method": throwing()}
    results = ["--results-dir", bench.store.root]
    first = invoke("run", bench.path, *results)
    assert first.exit_code == 1
    assert f"2 runs failed; `vaebench status {bench.path}` says why" in first.stderr
    assert "Traceback" not in first.output
    status = invoke("status", bench.path, *results)
    assert status.exit_code == 0
    assert status.stdout.startswith(f"{bench.path}, paper scale: 2 of 4 runs done\n")
    assert status.stdout.count(": RuntimeError: the decoder is upside down") == 2
    table = invoke("table", bench.path, *results)
    assert table.exit_code == 0 and "failed" in table.stdout
    # The method is mended: the next run tries again and nothing of the failure stays.
    method(mended())
    second = invoke("run", bench.path, *results)
    assert second.exit_code == 0
    assert "4 runs, 2 finished before" in second.stderr
    assert "4 of 4 runs done" in invoke("status", bench.path, *results).stdout
    assert all(bench.store.failure(run.id) is None for run in bench.runs())


def mended():
    """A method of the same name that works."""

    def throws(data: DataInfo, *, latent: int, hidden: list[int]) -> Recipe:
        return vae(data, latent=latent, hidden=hidden, posterior="diagonal")

    return throws


def test_a_failing_evaluation_keeps_the_trained_model(bench):
    broken = [True]

    @evaluation.evaluator
    def breaks(model, data):
        if broken:
            raise ERROR
        return {"x": 1.0}

    bench.spec["columns"]["X"] = column("breaks", "x")
    outcome, log = bench.run()
    assert outcome.counts == {"failed": 4}
    run = bench.runs()[0]
    assert list(bench.store.record(run.id)["evaluations"]) == ["reconstruction"]
    found = states(bench)
    assert (found["A", "Rec."], found["A", "X"]) == ("measured", "failed")
    broken.clear()
    outcome, log = bench.run()
    assert outcome.counts == {"done": 4}
    assert log.of("epoch") == []
    assert [name for _, name in log.of("evaluating")] == ["breaks"] * 4
    assert states(bench)["A", "X"] == "measured"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_value_that_is_no_number_is_a_failure_with_a_reason(value, bench):
    @evaluation.evaluator
    def blows_up(model, data):
        return {"x": value}

    bench.spec["columns"]["X"] = column("blows_up", "x")
    _, log = bench.run()
    assert {detail for _, _, detail in log.of("done")} == {f"blows_up: x is {value}"}


@pytest.mark.parametrize(("first_step", "epochs"), [(1, 0), (6, 1), (16, 3)])
def test_a_diverging_run_is_a_result(first_step, epochs, bench):
    calls = []
    bench.spec["rows"]["A"] = {"method": diverging(first_step, calls)}
    outcome, log = bench.run()
    assert outcome.counts == {"diverged": 2, "done": 2} and not outcome.failed
    told = [detail for _, result, detail in log.of("done") if result == "diverged"]
    assert told == [f"the loss is nan in epoch {epochs + 1}"] * 2
    assert states(bench) == {("A", "Rec."): "diverged", ("B", "Rec."): "measured"}
    for run in bench.runs("A"):
        record = bench.store.record(run.id)
        assert (record["status"], record["evaluations"]) == ("diverged", {})
        assert all(len(values) == epochs for values in record["history"].values())
        assert not bench.store.weights(run.id).exists()
        assert not bench.store.checkpoint(run.id).exists()
    assert len(calls) == 2
    outcome, log = bench.run()  # a result is not tried again
    assert not outcome.counts and log.events == [] and len(calls) == 2


def test_a_run_that_another_process_has_is_waited_for_and_taken_over(bench, monkeypatch):
    (first, *_) = bench.runs()
    lock = bench.store.lock(first.id)
    lock.__enter__()
    sleeps = []

    def other_process_dies(seconds):
        sleeps.append(seconds)
        if len(sleeps) == 3:
            lock.__exit__(None, None, None)

    monkeypatch.setattr(local, "time", SimpleNamespace(sleep=other_process_dies))
    outcome, log = bench.run()
    assert outcome.counts == {"done": 4} and not outcome.failed
    assert log.of("done")[0] == (first.id, "busy", "another process works on it")
    assert log.of("done")[-1] == (first.id, "done", None)
    assert len(sleeps) == 3


def test_missing_data_stops_before_anything_starts(bench, tmp_path):
    bench.spec["groups"]["G"]["data"] = {"dataset": "digits-28x28"}
    bench.spec["rows"]["B"]["data"] = {"dataset": "mnist"}
    with pytest.raises(UserError, match="the data set mnist is not in"):
        bench.run()
    assert not (bench.store.root / "runs").exists()


def test_a_record_without_weights_is_finished(bench):
    bench.run()
    for run in bench.runs():
        bench.store.weights(run.id).unlink()
    outcome, log = bench.run()
    assert not outcome.counts and log.events == []


def test_a_new_evaluation_of_a_record_without_weights_trains_again_and_says_so(bench):
    au = {"split": "test", "threshold": 0.01}
    bench.spec["columns"]["AU"] = column("active_units", "au", parameters=au)
    bench.run()
    runs = bench.runs()
    before = {run.id: bench.store.record(run.id)["evaluations"] for run in runs}
    for run in runs[1:]:
        bench.store.weights(run.id).unlink()
    bench.spec["columns"]["AU"]["parameters"] = {**au, "split": "train"}
    outcome, log = bench.run()
    assert outcome.counts == {"done": 4}
    notes = {run_id: note for run_id, _, _, note in log.of("started")}
    assert notes[runs[0].id] is None
    assert {notes[run.id] for run in runs[1:]} == {session.RETRAIN_NOTE}
    assert {run_id for run_id, _ in log.of("epoch")} == {run.id for run in runs[1:]}
    for run in runs:
        found = bench.store.record(run.id)["evaluations"]
        assert len(found) == 3
        # All that was evaluated before, by whatever table, is evaluated on the new model, which is
        # the same model again.
        assert {key: found[key] for key in before[run.id]} == before[run.id]


def full(*arguments):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def weights_of(bench):
    return {run.id: checkpoints.load(bench.store.weights(run.id))["model"] for run in bench.runs()}


def test_a_full_disk_under_a_checkpoint_fails_the_run_and_tears_nothing(bench, tmp_path):
    write, calls = checkpoints.write_bytes, []

    def full_at_the_third_epoch(path, data):
        calls.append(path.name)
        if len(calls) == 3:
            full()
        write(path, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoints, "write_bytes", full_at_the_third_epoch)
        result = invoke("run", bench.path, "--results-dir", bench.store.root)
    assert result.exit_code == 1
    assert "failed" in result.stderr and "No space left on device" in result.stderr
    assert "1 runs failed" in result.stderr and "Traceback" not in result.output
    failed, *others = bench.runs()
    assert "No space left on device" in bench.store.failure(failed.id)["message"]
    assert all(bench.store.record(run.id) is not None for run in others)
    assert bench.store.record(failed.id) is None
    assert len(checkpoints.load(bench.store.checkpoint(failed.id))["history"]) == 2
    assert list(leftovers(bench.store.root)) == []
    # With room again it goes on from the second epoch and ends as if nothing had happened.
    outcome, log = bench.run()
    assert outcome.counts == {"done": 1}
    assert [epoch for _, epoch in log.of("epoch")] == [3, 4]
    found = weights_of(bench)
    whole = type(bench)(tmp_path / "whole", bench.spec)
    whole.folder.mkdir()
    whole.run()
    for run_id, weights in weights_of(whole).items():
        assert all(torch.equal(found[run_id][name], weights[name]) for name in weights)


@pytest.mark.parametrize("writes", [1, 2, 3, 5, 8, 11, 14, 20])
def test_a_disk_that_fills_at_any_write_ends_in_words(writes, bench):
    """From some write on there is no room for anything: checkpoint, record, reason, CSV."""
    fsync, count = os.fsync, [0]

    def full_from_then_on(descriptor):
        count[0] += 1
        if count[0] > writes:
            full()
        fsync(descriptor)

    results = ["--results-dir", bench.store.root]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(atomic.os, "fsync", full_from_then_on)
        result = invoke("run", bench.path, *results)
    assert result.exit_code == 1
    assert "No space left on device" in result.stderr and "Traceback" not in result.output
    assert list(leftovers(bench.store.root)) == []
    for command in ("status", "table"):
        assert invoke(command, bench.path, *results).exit_code == 0
    assert invoke("run", bench.path, *results).exit_code == 0
    assert set(states(bench).values()) == {"measured"}


def test_a_full_disk_is_told_before_training(bench, monkeypatch):
    monkeypatch.setattr(atomic.os, "fsync", full)
    result = invoke("run", bench.path, "--results-dir", bench.store.root)
    assert result.exit_code == 2
    assert result.stderr.startswith(f"vaebench: the results folder {bench.store.root} cannot be")
    assert not (bench.store.root / "runs").exists()


PEAKS = """
import torch
from vaebench.execution import single

block = torch.ones(100 * 2**18)
before = single._peak_mb()
del block
single._forget_peak()
assert single._peak_mb() <= before - 50, (before, single._peak_mb())
"""


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux can forget")
def test_the_peak_of_memory_is_that_of_the_run(tmp_path):
    done = python(PEAKS, tmp_path)
    assert done.returncode == 0, done.stderr
