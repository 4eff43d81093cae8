"""Killed at any moment, a run goes on and ends with the same bits as if it had never stopped."""

import csv
import random
import signal
import time
from collections import Counter

import pytest
import torch
from commands import finish, leftovers, start, wait_until
from specs import write_spec

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


COUNTING = """
import os
from vaebench.execution import single

train = single.train


def counted(*arguments, **options):
    with open(os.environ["TRAININGS"], "a") as log:
        log.write(options["checkpoint"].parent.name + "\\n")
    return train(*arguments, **options)


single.train = counted
"""


def test_two_processes_share_a_store(tmp_path):
    """They train no run twice and end in the cells of one; each skips what the other has."""
    (tmp_path / "counting.py").write_text(COUNTING)
    log = tmp_path / "trainings"
    command = ["run", "igp-table12", "--scale", "smoke", "--only", "AE", "--only", "VAE, DGP"]
    command += ["--plugin", "counting", "--results-dir"]
    pair = [start(*command, "shared", cwd=tmp_path, TRAININGS=str(log)) for _ in range(2)]
    ends = [finish(process) for process in pair]
    assert [code for code, _, _ in ends] == [0, 0], ends
    selection = Selection(only=("AE", "VAE, DGP"))
    runs = expand(load_table("igp-table12", "smoke"), selection).runs
    assert Counter(log.read_text().split()) == dict.fromkeys(runs, 1)
    assert finish(start(*command, "alone", cwd=tmp_path, TRAININGS=str(log)))[0] == 0
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
