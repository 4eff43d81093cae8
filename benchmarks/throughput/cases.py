"""What a case is: a baseline, ours, and what is expected of their ratio."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from memory import give_back_freed_memory
from timing import Side
from vaebench.data.dataset import Batch, DataInfo, ImageSplit, Split
from vaebench.objectives.clock import Clock
from vaebench.registry.runs import Adam, Optimizer, Training
from vaebench.training.allocator import keep_freed_memory
from vaebench.training.averaging import Average
from vaebench.training.batching import epoch_order
from vaebench.training.numerics import Numerics
from vaebench.training.procedures import Objective, Setting
from vaebench.training.recipe import Recipe

SIZE, BATCH = 60_000, 128
INFO = DataInfo("random", "stand-in", (1, 28, 28), 10, SIZE, 0)
ADAM = Adam(name="adam", lr=1e-3, eps=1e-7)  # Keras' epsilon


class Skipped(Exception):
    """A case that cannot run here; the message says what it lacks."""


@dataclass(frozen=True)
class Pair:
    """The two sides; `difference` is the relative one of their losses at equal weights."""

    baseline: Side
    ours: Side
    difference: float | None = None


@dataclass(frozen=True)
class Case:
    """`build` makes the sides, each turn of which is `steps` steps long; without a `target` the
    ratio is only reported, and without a `share` ours of the float32 peak. A case with long steps
    has at most so many `rounds`."""

    name: str
    build: Callable[[Numerics, int], Pair]
    steps: int
    target: float | None = None
    rounds: int | None = None
    share: float | None = None


def images(info: DataInfo) -> Tensor:
    """Random uint8 images of a shape and number, mostly dark as digits are."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.rand(info.train_size, *info.shape, generator=generator)
    return pixels.pow_(4).mul_(255).to(torch.uint8)


def split(info: DataInfo = INFO) -> Split:
    return ImageSplit(images(info), torch.zeros(info.train_size, dtype=torch.int64))


def batches(data: Split, size: int) -> Iterator[Batch]:
    """The training loop's batches without end; the short one that ends an epoch is left out."""
    epoch = 0
    while True:
        epoch += 1
        for index in torch.split(epoch_order(len(data), 0, epoch), size):
            if len(index) == size:
                yield data.take(index)


class Ours:
    """The steps of a recipe as the training loop does them, the average of the weights and sums of
    the loss included."""

    def __init__(
        self,
        recipe: Recipe,
        data: Split,
        objective: Objective | None = None,
        *,
        batch: int = BATCH,
        optimizer: Optimizer = ADAM,
        clip: float | None = None,
        average: float | None = None,
    ) -> None:
        self.recipe = recipe
        self.objective = objective or recipe.objective
        self.batches = batches(data, batch)
        self.count, self.size = 0, len(data)
        self.total = torch.zeros(())
        recipe.model.train()
        training = Training(batch_size=batch, epochs=1, optimizer=optimizer, clip=clip)
        recipe.procedure.prepare(Setting(recipe.model, training, data))
        self.average = None if average is None else Average(recipe.model, average)

    def step(self) -> None:
        batch = next(self.batches)
        self.count += 1
        clock = Clock.at(self.count, len(batch.y), self.size)
        terms = self.recipe.procedure.step(self.objective, batch, clock)
        if self.average is not None:
            self.average.update()
        self.total = self.total + terms["loss"].detach() * len(batch.y)


def our_side(numerics: Numerics, run: Callable[[], object], flop: float) -> Side:
    """The route that the probe chose, and freed memory kept, as in a real run."""

    def enter() -> None:
        numerics.apply()
        keep_freed_memory()

    return Side("vaebench", enter, run, flop)


def baseline_side(name: str, threads: int, run: Callable[[], object], flop: float) -> Side:
    """The default route and the allocator as it is."""

    def enter() -> None:
        Numerics("cpu", threads, "default").apply()
        give_back_freed_memory()

    return Side(name, enter, run, flop)


def repeated(step: Callable[[], object], times: int) -> Callable[[], None]:
    def run() -> None:
        for _ in range(times):
            step()

    return run


def check_compiler() -> None:
    """Skipped unless torch.compile has a C++ compiler."""
    if shutil.which(os.environ.get("CXX", "g++")) is None:
        raise Skipped("torch.compile needs a C++ compiler")


def count_flop(step: Callable[[], object]) -> float:
    """Floating point operations of the matrix products in one step, which is done."""
    with FlopCounterMode(display=False) as counter:
        step()
    return float(counter.get_total_flops())
