"""The schedule, against a slow reference, under any order of events."""

import random
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from vaebench.execution.schedule import Schedule


@dataclass
class FakeRun:
    """A run as the schedule sees it."""

    id: str
    inputs: dict[str, "FakeRun"] = field(default_factory=dict)


@dataclass
class FakeWork:
    run: FakeRun

    @property
    def inputs(self):
        return {run.id: run for run in self.run.inputs.values()}


@dataclass
class Graph:
    """Runs in the order of a plan, what each needs directly, and what each costs."""

    work: list[FakeWork]
    needs: dict[str, set[str]]
    seconds: dict[str, float]

    def descendants(self, run_id):
        """All that needs a run, however far away."""
        found = {run_id}
        for work in self.work:  # inputs first
            if self.needs[work.run.id] & found:
                found.add(work.run.id)
        return found - {run_id}

    def chain(self, run_id):
        """Seconds of the longest chain that begins with a run, by trying every chain."""
        after = [self.chain(other) for other, needed in self.needs.items() if run_id in needed]
        return self.seconds[run_id] + max(after, default=0.0)


def graph(needs, seconds):
    """`needs[n]` are the numbers of earlier runs that run n needs."""
    runs = []
    for number, earlier in enumerate(needs):
        inputs = {f"input{n}": runs[n] for n in sorted(earlier)}
        runs.append(FakeRun(f"run{number}", inputs))
    direct = {run.id: {i.id for i in run.inputs.values()} for run in runs}
    costs = {run.id: float(cost) for run, cost in zip(runs, seconds, strict=True)}
    return Graph([FakeWork(run) for run in runs], direct, costs)


@st.composite
def graphs(draw):
    """Directed acyclic graphs, diamonds and chains among them, with few costs so that some tie."""
    size = draw(st.integers(0, 9))
    needs = [draw(st.sets(st.integers(0, n - 1), max_size=3)) if n else set() for n in range(size)]
    return graph(needs, draw(st.lists(st.integers(0, 3), min_size=size, max_size=size)))


class Drive:
    """A schedule, and what a watcher knows of every run."""

    def __init__(self, shape):
        self.shape = shape
        self.schedule = Schedule(shape.work, shape.seconds)
        self.order = [work.run.id for work in shape.work]
        self.taken, self.elsewhere = [], []
        self.usable, self.unusable, self.lost = set(), set(), []
        self.times_taken = dict.fromkeys(self.order, 0)
        self.times_freed = dict.fromkeys(self.order, 0)

    def ready(self):
        """What may be taken now, first come first, by the definition."""
        gone = {*self.taken, *self.elsewhere, *self.usable, *self.unusable, *self.lost}
        free = [r for r in self.order if r not in gone and self.shape.needs[r] <= self.usable]
        return sorted(free, key=lambda run_id: -self.shape.chain(run_id))  # stable: ties as planned

    def take(self):
        expected = self.ready()
        assert self.schedule.ready == len(expected)
        work = self.schedule.take()
        assert (work and work.run.id) == (expected[0] if expected else None)
        if work is not None:
            self.taken.append(work.run.id)
            self.times_taken[work.run.id] += 1

    def end(self, run_id, usable):
        self.taken.remove(run_id)
        (self.usable if usable else self.unusable).add(run_id)
        told = self.schedule.end(run_id, usable=usable)
        ids = [work.run.id for work, _ in told]
        assert len(set(ids)) == len(ids)
        already = {*self.lost, *self.unusable}
        assert set(ids) == (set() if usable else self.shape.descendants(run_id) - already)
        for work, reason in told:
            guilty = reason.removeprefix("its input ").removesuffix(" did not end well")
            assert guilty in self.shape.needs[work.run.id]
            assert guilty in {*self.unusable, *ids}
        self.lost += ids

    def free(self, run_id):
        (self.taken if run_id in self.taken else self.elsewhere).remove(run_id)
        self.times_freed[run_id] += 1
        self.schedule.put_back(run_id)

    def lend(self, run_id):
        self.taken.remove(run_id)
        self.elsewhere.append(run_id)
        self.schedule.leave_elsewhere(run_id)

    def check(self):
        ended = self.usable | self.unusable | set(self.lost)
        assert self.schedule.unfinished == (len(ended) < len(self.order))
        assert [work.run.id for work in self.schedule.elsewhere] == self.elsewhere


@settings(max_examples=150, deadline=None)
@given(graphs(), st.integers(0, 2**32))
def test_any_order_of_events_ends_with_every_run_told_once(shape, seed):
    drive, chance = Drive(shape), random.Random(seed)
    unkind = 12  # events that lead nowhere; after them every run only goes on
    for _ in range(2 * unkind + 3 * len(shape.work)):
        drive.check()
        if not drive.schedule.unfinished:
            break
        moves = ["take"] if drive.ready() else []
        moves += ["end"] if drive.taken else []
        if unkind > 0 or drive.elsewhere:
            moves += ["free"] if drive.elsewhere or (unkind > 0 and drive.taken) else []
            moves += ["lend"] if unkind > 0 and drive.taken else []
        move = chance.choice(moves)
        if move == "take":
            drive.take()
            continue
        can_be_freed = drive.elsewhere + (drive.taken if unkind > 0 else [])
        unkind -= move in ("free", "lend")
        run_id = chance.choice(can_be_freed if move == "free" else drive.taken)
        if move == "end":
            drive.end(run_id, chance.random() < 0.7)
        else:
            drive.free(run_id) if move == "free" else drive.lend(run_id)
    assert not drive.schedule.unfinished and drive.schedule.take() is None
    assert drive.usable | drive.unusable | set(drive.lost) == set(drive.order)
    assert len(drive.lost) == len(set(drive.lost))
    for run_id in drive.order:
        ended = 0 if run_id in drive.lost else 1
        assert drive.times_taken[run_id] == drive.times_freed[run_id] + ended


@given(graphs())
def test_one_after_the_other_every_input_comes_before_what_needs_it(shape):
    schedule, order = Schedule(shape.work, shape.seconds), []
    while (work := schedule.take()) is not None:
        order.append(work.run.id)
        assert schedule.end(work.run.id, usable=True) == []
    assert sorted(order) == sorted(shape.needs)
    for run_id, needed in shape.needs.items():
        assert all(order.index(other) < order.index(run_id) for other in needed)


def test_a_diamond_that_fails_at_its_tip_is_lost_once():
    shape = graph([set(), {0}, {0}, {1, 2}, set()], [1, 1, 1, 1, 9])
    schedule = Schedule(shape.work, shape.seconds)
    assert [schedule.take().run.id for _ in range(2)] == ["run4", "run0"]
    lost = schedule.end("run0", usable=False)
    assert [(work.run.id, reason) for work, reason in lost] == [
        ("run1", "its input run0 did not end well"),
        ("run3", "its input run1 did not end well"),
        ("run2", "its input run0 did not end well"),
    ]
    assert schedule.unfinished and schedule.take() is None
    assert schedule.end("run4", usable=True) == [] and not schedule.unfinished


def test_a_cheap_run_at_the_head_of_a_long_chain_comes_first():
    shape = graph([set(), set(), {1}, {2}], [5, 1, 3, 2])
    schedule = Schedule(shape.work, shape.seconds)
    assert [schedule.take().run.id for _ in range(2)] == ["run1", "run0"]


def test_an_input_that_is_finished_holds_nobody_up():
    """The schedule has the open runs alone; what is not among them is there."""
    shape = graph([set(), {0}], [1, 1])
    schedule = Schedule(shape.work[1:], shape.seconds)
    assert schedule.take().run.id == "run1"


def test_a_run_whose_cost_is_not_known_is_run_too():
    shape = graph([set(), set()], [0, 1])
    assert [Schedule(shape.work, {}).take().run.id] == ["run0"]
