"""The training loop's own share of a VAE step: everything but forward, backward and update.

    python benchmarks/throughput/loop_overhead.py [--repeats 5] [--epochs 2]

Times, in turn and in one process, the loop on MNIST-sized random data (order, batches, sums,
checkpoint and history after every epoch) and the bare steps on batches made beforehand. One thread.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import torch

from vaebench import methods
from vaebench.data.dataset import DataInfo, Dataset, ImageSplit
from vaebench.objectives.clock import Clock
from vaebench.registry.runs import Adam, Training
from vaebench.store.store import Store
from vaebench.training.loop import train
from vaebench.training.numerics import resolve
from vaebench.training.procedures import Setting
from vaebench.training.recipe import Recipe

SIZE, BATCH = 60_000, 128
INFO = DataInfo("random", "stand-in", (1, 28, 28), 10, SIZE, 0)


def recipe() -> Recipe:
    torch.manual_seed(0)
    arguments = {"latent": 32, "hidden": [200, 200], "posterior": "diagonal"}
    return methods.build("igp.vae", INFO, arguments)


def loop_seconds(data: Dataset, training: Training, device: torch.device) -> float:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        fresh = recipe()
        started = time.perf_counter()
        train(
            fresh,
            data,
            training,
            seed=0,
            device=device,
            checkpoint=store.checkpoint("run"),
            report=lambda epoch, terms: store.add_epoch("run", epoch, terms),
        )
        return time.perf_counter() - started


def bare_seconds(data: Dataset, training: Training, device: torch.device) -> float:
    fresh = recipe()
    fresh.model.to(device).train()
    fresh.procedure.prepare(Setting(fresh.model, training, data.train))
    index = torch.arange(SIZE, device=device).split(BATCH)
    batches = [data.train.take(part) for part in index]
    started = time.perf_counter()
    for epoch in range(training.epochs):
        for step, batch in enumerate(batches, start=1 + epoch * len(batches)):
            fresh.procedure.step(fresh.objective, batch, Clock.at(step, BATCH, SIZE))
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=2)
    options = parser.parse_args()
    numerics = resolve("cpu")
    device = numerics.apply()
    images = torch.randint(0, 256, (SIZE, 1, 28, 28), dtype=torch.uint8)
    split = ImageSplit(images, torch.zeros(SIZE, dtype=torch.int64))
    data = Dataset(split, split, INFO, "")
    training = Training(
        batch_size=BATCH, epochs=options.epochs, optimizer=Adam(name="adam", lr=1e-3)
    )
    shares = []
    for _ in range(options.repeats):
        bare = bare_seconds(data, training, device)
        whole = loop_seconds(data, training, device)
        shares.append(100 * (whole / bare - 1))
        steps = options.epochs * -(-SIZE // BATCH)
        print(f"step {1e3 * bare / steps:.3f} ms bare, {1e3 * whole / steps:.3f} ms in the loop")
    print(
        f"the loop adds {statistics.median(shares):.1f} % "
        f"({min(shares):.1f} to {max(shares):.1f}); matmul route {numerics.matmul}"
    )


if __name__ == "__main__":
    main()
