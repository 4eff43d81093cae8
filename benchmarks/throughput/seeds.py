"""Seeds as one-thread processes side by side, against one process with all threads.

Both do the same number of steps of the same recipes: N seeds of s steps each, in N processes at
once or one after the other. Both sides are ours, with the probe's route and freed memory kept.
"""

import multiprocessing
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection

from timing import Spread, spread
from vaebench.training.allocator import keep_freed_memory
from vaebench.training.numerics import Numerics

STEPS = {1: 100, 5: 30}  # of a seed in a turn, by k


def compare(samples: int, threads: int, rounds: int) -> Spread:
    """The throughput of `threads` one-thread processes by that of one with `threads` threads."""
    steps = STEPS[samples]
    with _workers(samples, 1, threads) as alone, _workers(samples, threads, 1) as together:
        turns: list[Callable[[], float]] = [
            lambda: _seconds(together, steps * threads),
            lambda: _seconds(alone, steps),
        ]
        ratios = []
        for number in range(-1, rounds):
            seconds = [0.0, 0.0]
            for side in (0, 1) if number % 2 else (1, 0):
                seconds[side] = turns[side]()
            if number >= 0:
                ratios.append(seconds[0] / seconds[1])
    return spread(ratios)


def _seconds(workers: list[Connection], steps: int) -> float:
    """Until all workers have done their steps, which they start at once."""
    started = time.perf_counter()
    for worker in workers:
        worker.send(steps)
    for worker in workers:
        worker.recv()
    return time.perf_counter() - started


@contextmanager
def _workers(samples: int, threads: int, count: int) -> Iterator[list[Connection]]:
    """`count` processes that wait for numbers of steps; 0 ends them."""
    context = multiprocessing.get_context("spawn")
    ends, processes = [], []
    for _ in range(count):
        here, there = context.Pipe()
        process = context.Process(target=_work, args=(there, samples, threads), daemon=True)
        process.start()
        ends.append(here)
        processes.append(process)
    try:
        for end in ends:
            end.recv()  # built and warm
        yield ends
    finally:
        for end in ends:
            end.send(0)
        for process in processes:
            process.join()


def _work(end: Connection, samples: int, threads: int) -> None:
    from cases import Ours, split
    from igp import iwae
    from vaebench.training.numerics import resolve

    chosen: Numerics = resolve("cpu", threads)
    chosen.apply()
    keep_freed_memory()
    ours = Ours(iwae(samples), split())
    ours.step()
    end.send(True)
    while steps := end.recv():
        for _ in range(steps):
            ours.step()
        end.send(True)
