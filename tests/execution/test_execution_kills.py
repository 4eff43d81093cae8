"""Killed at any moment, a run goes on and ends with the same bits as if it had never stopped."""

import csv
import os
import random
import signal
import time
from collections import Counter
from functools import cached_property
from pathlib import Path

import pytest
import torch
from benches import Bench
from commands import finish, invoke, leftovers, start, wait_until, with_plugins
from specs import tiny_spec, write_spec

from vaebench.registry.expansion import expand
from vaebench.registry.loading import load_table
from vaebench.registry.names import table_paths
from vaebench.registry.selection import Selection
from vaebench.registry.yaml import read_file
from vaebench.store.store import Store

EPOCHS = 40
SELECTION = Selection(seeds=1, only=("VAE, IGP",), settings=(f"training.epochs={EPOCHS}",))
COMMAND = ["run", "mine.yaml", "--scale", "smoke", "--only", "VAE, IGP", "--seeds", "1"]
SETTING = ["--set", f"training.epochs={EPOCHS}"]


@pytest.fixture
def spec(tmp_path):
    """IGP's Table 12, with a probe that trains long enough to be killed in it."""
    raw = read_file(table_paths()["igp-table12"]) | {"table": "mine", "published": "igp-table12"}
    raw["columns"]["CLF"]["parameters"]["epochs"] = 250
    return write_spec(tmp_path, raw)


def the_run(spec):
    (run,) = expand(load_table(spec, "smoke"), SELECTION).runs.values()
    return run


class Watch:
    """How far the one run of a store is."""

    def __init__(self, store, run):
        self.store, self.run = store, run

    @property
    def epochs(self):
        return self.store.epochs_done(self.run.id)

    @property
    def evaluations(self):
        """The number of finished evaluations; -1 before there is a record."""
        record = self.store.record(self.run.id)
        return -1 if record is None else len(record["evaluations"])

    def result(self):
        """Weights, evaluations, losses and the values of the CSV."""
        record = self.store.record(self.run.id)
        (path,) = self.store.root.glob("mine.smoke.digits-28x28.set-*.csv")
        with path.open(newline="") as stream:
            cells = [
                {name: line[name] for name in ("row", "column", "value", "std", "state", "seeds")}
                for line in csv.DictReader(stream)
            ]
        weights = torch.load(self.store.weights(self.run.id), weights_only=True)["model"]
        return weights, record["evaluations"], record["history"], cells


def test_killed_at_many_moments_it_ends_in_the_same_bits(spec, tmp_path):
    """SIGKILL eight times, six in training and two in evaluation, each some ten milliseconds after
    progress was seen on disk; what a kill leaves is swept up and the last process finishes."""
    chance = random.Random(20_260_102)
    run = the_run(spec)
    whole = Watch(Store(tmp_path / "whole"), run)
    code, _, err = finish(start(*COMMAND, *SETTING, "--results-dir", "whole", cwd=tmp_path))
    assert code == 0, err
    killed = Watch(Store(tmp_path / "killed"), run)
    deaths: Counter[str] = Counter()

    def kill_after(progress):
        """Start it, wait for progress and a little longer, kill it; note where it died."""
        process = start(*COMMAND, *SETTING, "--results-dir", "killed", cwd=tmp_path)
        assert wait_until(progress, process), process.communicate()
        time.sleep(chance.uniform(0, 0.015))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        deaths["training" if killed.evaluations < 0 else "evaluation"] += 1

    for _ in range(6):
        goal = killed.epochs + chance.randint(1, 3)
        kill_after(lambda goal=goal: killed.epochs >= goal)
        assert killed.epochs < EPOCHS
    kill_after(lambda: killed.evaluations >= 0)  # the record was just written
    kill_after(lambda: killed.evaluations == 2 and killed.store.busy(run.id))  # in the probe
    assert deaths == {"training": 6, "evaluation": 2}

    code, _, err = finish(start(*COMMAND, *SETTING, "--results-dir", "killed", cwd=tmp_path))
    assert code == 0, err
    weights, evaluations, losses, cells = killed.result()
    expected, *rest = whole.result()
    assert weights.keys() == expected.keys()
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    assert [evaluations, losses, cells] == rest
    assert len(losses["loss"]) == EPOCHS and len(evaluations) == 3
    assert sum(cell["state"] == "measured" for cell in cells) == 8
    history = killed.store.run_dir(run.id) / "history.csv"
    assert history.read_bytes() == (whole.store.run_dir(run.id) / "history.csv").read_bytes()
    for store in (whole.store, killed.store):
        assert list(leftovers(store.root)) == []
        assert not store.checkpoint(run.id).exists()


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_polite_stop_is_quick_and_tells_how_to_go_on(name, spec, tmp_path):
    watch = Watch(Store(tmp_path / "results"), the_run(spec))
    process = start(*COMMAND, *SETTING, "--results-dir", "results", cwd=tmp_path)
    assert wait_until(lambda: watch.epochs >= 2, process), process.communicate()
    sent = time.monotonic()
    process.send_signal(getattr(signal, name))
    code, out, err = finish(process)
    # It is there within the batch at work, far below a second; machines and their load vary.
    assert time.monotonic() - sent < 5
    assert code == 130
    assert out == ""
    assert err.endswith("stopped; the same command goes on from the last epoch\n")
    assert "Traceback" not in err and "failed" not in err
    assert watch.store.failure(watch.run.id) is None
    assert not watch.store.busy(watch.run.id)
    assert list(leftovers(watch.store.root)) == []
    state = torch.load(watch.store.checkpoint(watch.run.id), weights_only=True)
    assert watch.epochs - 1 <= len(state["history"]) <= watch.epochs


def test_two_processes_share_a_store(tmp_path):
    """They train no run twice and end in the cells of one; each skips what the other has."""
    log = tmp_path / "trainings"
    command = ["run", "igp-table12", "--scale", "smoke", "--only", "AE", "--only", "VAE, DGP"]
    command += ["--plugin", "counting", "--results-dir"]
    options = {"cwd": tmp_path, **with_plugins(), "TRAININGS": str(log)}
    pair = [start(*command, "shared", **options) for _ in range(2)]
    ends = [finish(process) for process in pair]
    assert [code for code, _, _ in ends] == [0, 0], ends
    selection = Selection(only=("AE", "VAE, DGP"))
    runs = expand(load_table("igp-table12", "smoke"), selection).runs
    assert Counter(log.read_text().split()) == dict.fromkeys(runs, 1)
    assert finish(start(*command, "alone", **options))[0] == 0
    assert Counter(log.read_text().split()) == dict.fromkeys(runs, 2)
    shared, alone = Store(tmp_path / "shared"), Store(tmp_path / "alone")
    for run_id in runs:
        one, other = shared.record(run_id), alone.record(run_id)
        assert one["evaluations"] == other["evaluations"]
        assert one["history"] == other["history"]
    assert values(shared) == values(alone)
    assert list(leftovers(shared.root)) == []


def values(store):
    """The CSV without what differs between two machines or moments."""
    (path,) = store.root.glob("*.csv")
    with path.open(newline="") as stream:
        return [
            (line["row"], line["column"], line["value"], line["std"], line["state"], line["runs"])
            for line in csv.DictReader(stream)
        ]


# With workers: four runs that train for some seconds, two at once.

LONG = 240  # else a run may end while the worker of another is still starting
JOBS = ["--jobs", "2", "--device", "cpu", "--results-dir", "results"]
needs_proc = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")


@pytest.fixture(scope="module")
def long_spec():
    spec = tiny_spec()
    spec["groups"]["G"]["data"]["limit"] = 100
    spec["defaults"]["training"]["epochs"] = LONG
    return spec


@pytest.fixture(scope="module")
def whole(long_spec, tmp_path_factory):
    """What its runs end in, undisturbed and one after the other in this process."""
    bench = Bench(tmp_path_factory.mktemp("whole"), long_spec)
    assert invoke("run", bench.path, "--results-dir", bench.store.root).exit_code == 0
    return bench


class Still(Bench):
    """A bench whose spec is written once: other processes read it."""

    @cached_property
    def path(self):
        return write_spec(self.folder, self.spec)

    @cached_property
    def all_runs(self):
        return self.runs()


@pytest.fixture
def long(long_spec, tmp_path):
    bench = Still(tmp_path, long_spec)
    assert len(bench.all_runs) == 4
    return bench


def begin(bench, **variables):
    """The command with two workers, on the bench's store."""
    return start("run", "mine.yaml", *JOBS, cwd=bench.folder, **variables)


def progress(bench):
    """Epochs on disk by run."""
    return {run.id: bench.store.epochs_done(run.id) for run in bench.all_runs}


def workers_of(pid):
    """The worker processes of a command."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
            if int(parent) == pid and b"spawn_main" in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:  # it has just ended
            continue
    return found


def gone(pids):
    """Whether none of these processes runs any more."""
    return not any(alive(pid) for pid in pids)


def alive(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


def soon(happened, seconds=10.0):
    """Wait a few seconds for something."""
    deadline = time.monotonic() + seconds
    while not happened() and time.monotonic() < deadline:
        time.sleep(0.02)
    return happened()


def same_end(bench, whole):
    assert bench.all_bits() == whole.all_bits()
    assert bench.cells() == whole.cells()
    assert list(leftovers(bench.store.root)) == []
    assert not any(bench.store.checkpoint(run.id).exists() for run in bench.runs())
    assert all(bench.store.failure(run.id) is None for run in bench.runs())


@needs_proc
def test_a_command_killed_with_its_workers_at_work_goes_on(long, whole):
    """SIGKILL of the command alone, twice in training and evaluation and twice while
    the CSV is written: its workers end by themselves and leave no lock and no failure behind."""
    chance = random.Random(20_260_103)
    for _ in range(2):
        goal = sum(progress(long).values()) + chance.randint(5, LONG)
        process = begin(long)
        assert wait_until(lambda goal=goal: sum(progress(long).values()) >= goal, process)
        time.sleep(chance.uniform(0, 0.03))
        pids = workers_of(process.pid)
        assert 1 <= len(pids) <= 2
        process.send_signal(signal.SIGKILL)
        _, err = process.communicate()
        assert "Traceback" not in err and "failed" not in err
        assert soon(lambda pids=pids: gone(pids))
        for run in long.all_runs:
            assert not long.store.busy(run.id) and long.store.failure(run.id) is None
    for moment in ("within", "after"):
        for path in long.store.root.glob("*.csv"):
            path.unlink()
        process = start(
            *("run", "mine.yaml", *JOBS, "--plugin", "killing"),
            **{"cwd": long.folder, **with_plugins(), "KILL_AT": moment},
        )
        finish(process)
        assert process.returncode == -signal.SIGKILL
        assert len(list(long.store.root.glob("*.csv"))) == (moment == "after")
    code, _, err = finish(begin(long))
    assert code == 0, err
    same_end(long, whole)


@needs_proc
def test_workers_that_are_killed_are_replaced(long, whole):
    """Three times both are killed at random moments; the command goes on and does every run."""
    chance = random.Random(20_260_104)
    process = begin(long)
    seen = progress(long)
    for _ in range(3):
        # Whoever is killed has told an epoch since the last kill, so that no run fails.
        assert wait_until(lambda seen=seen: moved(long, seen), process), process.communicate()
        time.sleep(chance.uniform(0, 0.2))
        pids = workers_of(process.pid)
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            time.sleep(chance.uniform(0, 0.02))
        assert wait_until(lambda pids=pids: gone(pids), process)
        seen = progress(long)  # what they told until they were dead, and no less
    code, _, err = finish(process)
    assert code == 0, err
    assert err.count("goes on in a new worker: its worker was killed (SIGKILL)") == 6
    assert err.count(" done in ") == 4 and "failed" not in err
    same_end(long, whole)


def moved(bench, seen):
    """Whether two runs are at work, each some epochs further than it was."""
    now = progress(bench)
    work = [run_id for run_id in now if bench.store.busy(run_id)]
    return len(work) == 2 and all(now[run_id] >= seen[run_id] + 3 for run_id in work)


@needs_proc
@pytest.mark.parametrize("way", ["Ctrl-C", "SIGTERM", "Ctrl-C while workers start"])
def test_a_stopped_command_leaves_no_worker_behind(way, long):
    process = begin(long)
    if way.endswith("start"):
        assert wait_until(lambda: workers_of(process.pid), process), process.communicate()
    else:
        ready = wait_until(lambda: sum(progress(long).values()) >= 4, process)
        assert ready, process.communicate()
    pids = workers_of(process.pid)
    sent = time.monotonic()
    if way == "SIGTERM":
        process.terminate()
    else:
        for pid in (*pids, process.pid):  # a terminal tells the whole group
            os.kill(pid, signal.SIGINT)
    code, out, err = finish(process)
    assert time.monotonic() - sent < 6
    assert (code, out) == (130, "")
    assert err.endswith("stopped; the same command goes on from the last epoch\n")
    assert "Traceback" not in err and "failed" not in err and "again" not in err
    assert gone(pids)
    assert list(leftovers(long.store.root)) == []
    for run in long.all_runs:
        assert long.store.failure(run.id) is None and not long.store.busy(run.id)


@needs_proc
def test_when_one_of_two_commands_is_killed_the_other_takes_over(long, whole):
    """Two commands of two workers each; what the killed one had at work is gone on with, and what
    any of them had finished is not trained again."""
    log = long.folder / "trainings"
    options = {"cwd": long.folder, **with_plugins(), "TRAININGS": str(log), "PAUSE": "0.03"}
    command = ("run", "mine.yaml", *JOBS, "--plugin", "counting")
    one, other = (start(*command, **options) for _ in range(2))

    def all_at_work():
        return sum(2 < count < LONG - 10 for count in progress(long).values()) == 4

    assert wait_until(all_at_work, one), one.communicate()
    pids = workers_of(one.pid)
    one.send_signal(signal.SIGKILL)
    _, first_err = one.communicate()
    assert soon(lambda: gone(pids))
    code, _, err = finish(other)
    assert code == 0, err
    assert "failed" not in err and (first_err + err).count(" busy in ") >= 2
    trainings = Counter(log.read_text().split())
    assert sorted(trainings.values()) == [1, 1, 2, 2]
    same_end(long, whole)
