"""A plugin for worker processes: methods and evaluators that misbehave, once or always.

What happened before is noted in the folder NOTES, so that a run knows its attempts.
"""

import os
import resource
import signal
import threading
import time
from pathlib import Path

import torch

from vaebench.data.dataset import DataInfo
from vaebench.evaluation import evaluator
from vaebench.methods import method
from vaebench.methods.igp import vae
from vaebench.objectives.elbo import negative_elbo
from vaebench.training import loop
from vaebench.training.recipe import Recipe


def attempts(name: str) -> int:
    """How often this was asked before."""
    path = Path(os.environ["NOTES"]) / name
    before = len(path.read_text()) if path.exists() else 0
    path.write_text("x" * (before + 1))
    return before


def from_step(data: DataInfo, latent: int, hidden: list[int], step: int, act) -> Recipe:
    """A small VAE that does something at a step; four steps are an epoch."""
    recipe = vae(data, latent=latent, hidden=hidden, posterior="diagonal")

    def objective(model, batch, now):
        if now.step == step:
            act()
        return negative_elbo(model, batch, now)

    return Recipe(recipe.model, objective, recipe.procedure)


def die(name: signal.Signals) -> None:
    os.kill(os.getpid(), name)
    time.sleep(60)


@method
def killed_once(data: DataInfo, *, latent: int, hidden: list[int]) -> Recipe:
    """SIGKILL in the second step of the third epoch, at the first attempt."""

    def act():
        if attempts("killed_once") == 0:
            die(signal.SIGKILL)

    return from_step(data, latent, hidden, 10, act)


@method
def segfault(data: DataInfo, *, latent: int, hidden: list[int]) -> Recipe:
    return from_step(data, latent, hidden, 2, lambda: die(signal.SIGSEGV))


@method
def killed_at_the_checkpoint(data: DataInfo, *, latent: int, hidden: list[int]) -> Recipe:
    """Told its second epoch and never stores it."""

    def act():
        save = loop.checkpoints.save

        def dies(state, path):
            if len(state["history"]) == 2:
                die(signal.SIGKILL)
            save(state, path)

        loop.checkpoints.save = dies

    return from_step(data, latent, hidden, 5, act)


@method
def deadlock(data: DataInfo, *, latent: int, hidden: list[int]) -> Recipe:
    lock = threading.Lock()

    def act():
        lock.acquire()
        lock.acquire()

    return from_step(data, latent, hidden, 2, act)


@method
def stopped_once(data: DataInfo, *, latent: int, hidden: list[int]) -> Recipe:
    """Frozen with all its threads, as by a debugger."""

    def act():
        if attempts("stopped_once") == 0:
            os.kill(os.getpid(), signal.SIGSTOP)

    return from_step(data, latent, hidden, 6, act)


@method
def too_large(data: DataInfo, *, latent: int, hidden: list[int]) -> Recipe:
    """More memory than the process may have."""

    def act():
        before = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (2**36, before[1]))
        try:
            torch.ones(2**36)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, before)

    return from_step(data, latent, hidden, 2, act)


@method
def out_of_memory(data: DataInfo, *, latent: int, hidden: list[int]) -> Recipe:
    def act():
        raise MemoryError("a list of everything")

    return from_step(data, latent, hidden, 2, act)


@evaluator
def place(model, data):
    """Which devices this process sees; it waits until two processes have got here."""
    folder, end = Path(os.environ["NOTES"]), time.monotonic() + 30
    (folder / f"place-{os.getpid()}").touch()
    while len(list(folder.glob("place-*"))) < 2 and time.monotonic() < end:
        time.sleep(0.02)
    return {"sees": os.environ.get("CUDA_VISIBLE_DEVICES", "all"), "pid": os.getpid(), "x": 1.0}


@evaluator
def busy(model, data, *, seconds):
    """Computes for long and tells nothing."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        torch.ones(50, 50) @ torch.ones(50, 50)
    return {"x": 1.0}
