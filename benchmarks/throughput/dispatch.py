"""What the engine adds to a run: a plan of many trivial runs on workers.

    python benchmarks/throughput/dispatch.py [--runs 1000] [--jobs N]

A trivial run is a real one, trained and stored, but of one step on ten examples with layers of one
unit. First the runs are trained; then the same plan is asked for an evaluation that all of them
have, so that a worker takes each run, locks it, finds it done and gives it back: dispatch alone.
"""

import argparse
import tempfile
import time
from pathlib import Path

from vaebench.execution.plan import Plan, Work
from vaebench.execution.report import Reporter
from vaebench.execution.session import Session
from vaebench.execution.slots import cores, cpu_slots
from vaebench.execution.worker import Assignment
from vaebench.execution.workers import PATIENCE, Workers
from vaebench.registry.runs import Adam, DataView, Run, Training
from vaebench.store import provenance
from vaebench.store.store import Store
from vaebench.training.numerics import resolve


def trivial(seed: int) -> Work:
    """One step of an autoencoder with one unit a layer on ten of the stand-in digits."""
    return Work(
        Run(
            method="igp.autoencoder",
            arguments={"latent": 1, "hidden": [1]},
            data=DataView(dataset="digits-28x28", limit=10),
            training=Training(batch_size=10, epochs=1, optimizer=Adam(name="adam", lr=0.001)),
            seed=seed,
            paper="igp",
            version=1,
        )
    )


class Clock(Reporter):
    """When the first and the last run ended: workers start before and stop after that."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def run_done(self, work: Work, outcome: str, detail: str | None) -> None:
        if outcome != "done":
            raise RuntimeError(f"{work.run.id}: {outcome}: {detail}")
        self.ends.append(time.perf_counter())

    @property
    def ms_a_run(self) -> float:
        return 1e3 * (self.ends[-1] - self.ends[0]) / (len(self.ends) - 1)


def measure(plan: Plan, store: Store, jobs: int) -> tuple[float, float]:
    """Milliseconds from the end of a run to the end of the next, and seconds with the start."""
    clock = Clock()
    started = time.perf_counter()
    assignment = Assignment(store.root, store.root, resolve("cpu").as_dict(), (), provenance.code())
    session = Session(plan.work.values(), store, clock, lambda: None)
    Workers(session, cpu_slots(jobs), assignment, store, clock, PATIENCE).run()
    return clock.ms_a_run, time.perf_counter() - started


def compare(runs: int, jobs: int) -> dict[str, float]:
    """Milliseconds a run: trained and stored, and dispatched alone."""
    work = [trivial(seed) for seed in range(runs)]
    plan = Plan({entry.run.id: entry for entry in work})
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        for what in ("trained and stored", "dispatched alone"):
            found[what], total = measure(plan, store, jobs)
            print(
                f"  {what}: {found[what]:.2f} ms a run, {total:.1f} s for {runs} on {jobs} workers"
            )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--jobs", type=int, default=cores())
    options = parser.parse_args()
    compare(options.runs, options.jobs)


if __name__ == "__main__":
    main()
