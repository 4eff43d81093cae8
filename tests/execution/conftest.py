"""A small plan in a store of its own, and methods that misbehave."""

import pytest
from specs import tiny_spec, write_spec

from vaebench import evaluation, methods
from vaebench.execution.local import run_plan
from vaebench.execution.plan import make_plan
from vaebench.execution.report import Reporter
from vaebench.registry.expansion import expand
from vaebench.registry.loading import load_table
from vaebench.store.store import Store
from vaebench.training.numerics import resolve


@pytest.fixture(autouse=True)
def registries_restored(monkeypatch):
    """What a test registers is gone after it."""
    monkeypatch.setattr(methods, "_METHODS", dict(methods.methods()))
    monkeypatch.setattr(evaluation, "_EVALUATORS", dict(evaluation.evaluators()))


class Log(Reporter):
    """What execution tells, as plain tuples."""

    def __init__(self):
        self.events = []

    def run_started(self, work, number, total, note):
        self.events.append(("started", work.run.id, number, total, note))

    def epoch_done(self, work, epoch, terms):
        self.events.append(("epoch", work.run.id, epoch))

    def evaluating(self, work, name):
        self.events.append(("evaluating", work.run.id, name))

    def run_done(self, work, outcome, detail):
        self.events.append(("done", work.run.id, outcome, detail))

    def of(self, kind):
        return [event[1:] for event in self.events if event[0] == kind]


class Bench:
    """A spec, a store and the runs of one in the other."""

    def __init__(self, folder, spec):
        self.folder, self.spec = folder, spec
        self.store = Store(folder / "results")

    @property
    def path(self):
        return write_spec(self.folder, self.spec)

    def expansion(self):
        return expand(load_table(self.path))

    def runs(self, row=None):
        cells = self.expansion().measurements
        found = {r.id: r for m in cells for r in m.runs if row in (None, m.key.row)}
        return list(found.values())

    def run(self):
        """Run what is open; the outcome and what was told."""
        log = Log()
        plan = make_plan([self.expansion()])
        outcome = run_plan(plan, self.store, self.folder, resolve("cpu"), log)
        return outcome, log


@pytest.fixture
def bench(tmp_path):
    """Two rows of two seeds, four epochs of four steps each."""
    spec = tiny_spec()
    spec["groups"]["G"]["data"]["limit"] = 100
    return Bench(tmp_path, spec)
