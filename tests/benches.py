"""A spec, a store and the runs of one in the other, with plugins for runs that are unusual."""

import csv
import random
import sys
from pathlib import Path

from specs import write_spec

from vaebench import plugins
from vaebench.execution.local import run_plan
from vaebench.execution.plan import Plan, make_plan
from vaebench.execution.report import Reporter
from vaebench.registry.expansion import expand
from vaebench.registry.loading import load_table
from vaebench.store.store import Store
from vaebench.training import checkpoints
from vaebench.training.numerics import resolve

PLUGINS = Path(__file__).parent / "plugins"


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

    def run_again(self, work, reason):
        self.events.append(("again", work.run.id, reason))

    def run_done(self, work, outcome, detail):
        self.events.append(("done", work.run.id, outcome, detail))

    def of(self, kind):
        return [event[1:] for event in self.events if event[0] == kind]


class Bench:
    """A spec, a store and the runs of one in the other."""

    def __init__(self, folder, spec, results="results"):
        self.folder, self.spec = folder, spec
        self.store = Store(folder / results)

    @property
    def path(self):
        return write_spec(self.folder, self.spec)

    def expansion(self):
        return expand(load_table(self.path))

    def plan(self):
        return make_plan([self.expansion()])

    def runs(self, row=None):
        cells = self.expansion().measurements
        found = {r.id: r for m in cells for r in m.runs if row in (None, m.key.row)}
        return list(found.values())

    def only_run(self, row):
        (run,) = self.runs(row)
        return run

    def run(self, backend=run_plan, plan=None, **options):
        """Run what is open; the outcome and what was told."""
        log = Log()
        plan = plan or self.plan()
        outcome = backend(plan, self.store, self.folder, resolve("cpu"), log, **options)
        return outcome, log

    def bits(self, run):
        """All that a run ends in: weights as bytes, history and evaluations."""
        record = self.store.record(run.id)
        weights = checkpoints.load(self.store.weights(run.id))["model"]
        as_bytes = {name: value.numpy().tobytes() for name, value in weights.items()}
        lines = (self.store.run_dir(run.id) / "history.csv").read_text()
        return as_bytes, record["history"], record["evaluations"], lines

    def all_bits(self):
        """The bits of every run, inputs too."""
        return {run_id: self.bits(work.run) for run_id, work in self.plan().work.items()}

    def cells(self):
        """The CSV without what differs between two moments."""
        (path,) = self.store.root.glob("*.csv")
        with path.open(newline="") as stream:
            names = ("row", "column", "value", "std", "state", "seeds", "runs")
            return [{name: line[name] for name in names} for line in csv.DictReader(stream)]


def name_plugins(patch, *names):
    """As `--plugin` for the workers of this process."""
    patch.syspath_prepend(PLUGINS)
    patch.setattr(plugins, "_named", list(names))


def load_plugins(patch, *names):
    """As `--plugin` for this process too; what they register is gone after the test."""
    name_plugins(patch)
    for name in names:
        patch.delitem(sys.modules, name, raising=False)
    plugins.load(names)


def shuffled(plan, seed):
    """Another order of a plan, every run still after its inputs."""
    chance, left, work = random.Random(seed), dict(plan.work), {}
    while left:
        free = [k for k, w in left.items() if all(i.id in work for i in w.run.inputs.values())]
        chosen = chance.choice(free)
        work[chosen] = left.pop(chosen)
    return Plan(work)
