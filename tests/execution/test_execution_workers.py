"""Workers that die, hang or run out of memory cost their own run an attempt, and nothing else."""

import pytest
from benches import Bench, load_plugins, name_plugins
from commands import finish, invoke, leftovers, start
from specs import column, tiny_spec, write_spec

from vaebench.execution import workers
from vaebench.execution.slots import cpu_slots

PATIENCE = 3.0
GOOD = {"method": "igp.vae", "arguments": {"posterior": "diagonal"}}
KILLED = "its worker was killed (SIGKILL), as the system does when memory runs out"
STUCK = "its worker showed no sign of life for"
FAILS = {
    "segfault": "its worker died of SIGSEGV",
    "killed_at_the_checkpoint": KILLED,
    "deadlock": STUCK,
    "too_large": "RuntimeError: [enforce fail at",
    "out_of_memory": "MemoryError: a list of everything",
}
GOES_ON = {"killed_once": KILLED, "stopped_once": STUCK}


def spec_of(methods, **change):
    """The tiny spec with a row a method, one seed, and good rows around them."""
    spec = tiny_spec(seeds=1, **change)
    spec["groups"]["G"]["data"]["limit"] = 100
    rows = {name: {"method": f"misbehaving.{name}"} for name in methods}
    spec["rows"] = {"A": GOOD, **rows, "B": {**GOOD, "arguments": {"posterior": "isotropic"}}}
    spec["layout"]["panels"][0]["blocks"] = [{"lines": list(spec["rows"])}]
    return spec


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    """A plan with every kind of misbehaviour, done by two workers: bench, outcome, log."""
    folder = tmp_path_factory.mktemp("workers")
    bench = Bench(folder, spec_of([*FAILS, *GOES_ON]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NOTES", str(folder))
        name_plugins(patch, "misbehaving")
        outcome, log = bench.run(workers.run_plan, slots=cpu_slots(2), patience=PATIENCE)
    return bench, outcome, log


def test_no_other_run_fails(ended):
    bench, outcome, log = ended
    assert outcome.counts == {"failed": len(FAILS), "done": 4}
    for row in ("A", "B", *GOES_ON):
        run = bench.only_run(row)
        assert bench.store.record(run.id)["status"] == "done"
        assert bench.store.failure(run.id) is None
    assert len(log.of("started")) == len(log.of("done")) == len(FAILS) + 4
    assert list(leftovers(bench.store.root)) == []
    assert not any(bench.store.busy(run.id) for run in bench.runs())


@pytest.mark.parametrize("row", FAILS)
def test_a_run_that_cannot_be_done_fails_with_its_reason(row, ended):
    bench, _, log = ended
    run = bench.only_run(row)
    ((_, status, detail),) = [event for event in log.of("done") if event[0] == run.id]
    assert status == "failed" and detail.startswith(FAILS[row])
    assert bench.store.failure(run.id)["message"] == detail
    assert bench.store.record(run.id) is None
    again = [reason for run_id, reason in log.of("again") if run_id == run.id]
    # An exception is final; a run whose worker is lost is tried again once.
    assert [reason[: len(FAILS[row])] for reason in again] == [FAILS[row]] * ("worker" in detail)
    shown = invoke("status", bench.path, "--results-dir", bench.store.root).stdout
    assert f"  failed    {run.sentence}: {FAILS[row]}" in shown


@pytest.mark.parametrize("row", GOES_ON)
def test_a_run_whose_worker_is_lost_once_ends_in_the_same_bits(row, ended, tmp_path, monkeypatch):
    bench, _, log = ended
    run = bench.only_run(row)
    (reason,) = [reason for run_id, reason in log.of("again") if run_id == run.id]
    assert reason.startswith(GOES_ON[row])
    assert [epoch for run_id, epoch in log.of("epoch") if run_id == run.id] == [1, 2, 3, 4]
    monkeypatch.setenv("NOTES", str(tmp_path))
    (tmp_path / row).write_text("x")  # as if it had died before
    whole = Bench(tmp_path, spec_of([row]))
    load_plugins(monkeypatch, "misbehaving")
    outcome, _ = whole.run()
    assert outcome.counts == {"done": 3}
    assert whole.bits(run) == bench.bits(run)


def test_a_long_evaluation_that_computes_is_not_stuck(tmp_path, monkeypatch):
    """It tells nothing for longer than the patience, and two workers do two of them at once."""
    spec = spec_of([])
    spec["columns"]["X"] = column("busy", "x", parameters={"seconds": 4})
    bench = Bench(tmp_path, spec)
    name_plugins(monkeypatch, "misbehaving")
    outcome, log = bench.run(workers.run_plan, slots=cpu_slots(2), patience=2.5)
    assert outcome.counts == {"done": 2}
    assert log.of("again") == []


def test_beats_alone_are_no_sign_of_life(monkeypatch):
    """A stuck worker's beats cost time too; however many there are, they do not add up."""
    from vaebench.execution import worker

    told = []

    class Listener:
        def tell(self, event, seconds):
            told.append(seconds)

    class EnoughError(Exception):
        pass

    def next_beat(seconds):
        sum(range(20_000))  # far more than a beat costs
        if len(told) == 100:
            raise EnoughError

    monkeypatch.setattr(worker.time, "sleep", next_beat)
    with pytest.raises(EnoughError):
        worker._beat(Listener())
    assert told[-1] - told[0] < 0.01


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        ("raise ModuleNotFoundError(\"No module named 'helper'\")", "No module named 'helper'"),
        ("os.kill(os.getpid(), 9)", "was killed (SIGKILL)"),
    ],
    ids=["missing", "dying"],
)
def test_workers_that_cannot_start_end_the_command_in_a_line(trouble, reason, tmp_path):
    """A plugin that loads in the command and not in its workers."""
    (tmp_path / "moody.py").write_text(
        "import multiprocessing, os\n"
        f"if multiprocessing.parent_process() is not None:\n    {trouble}\n"
    )
    write_spec(tmp_path, spec_of([]))
    command = ["run", "mine.yaml", "--jobs", "2", "--plugin", "moody", "--results-dir", "results"]
    code, out, err = finish(start(*command, "--device", "cpu", cwd=tmp_path))
    assert (code, out) == (2, "")
    first, *lines = [line for line in err.splitlines() if not line.startswith("[")]
    assert first == "2 runs, 0 finished before"
    (line,) = lines
    assert line.startswith("vaebench: ") and reason in line
