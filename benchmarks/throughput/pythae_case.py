"""A VAE step of pythae's trainer (0.1.2) against ours: 784-512-32-512-784 with ReLU, batch 128."""

import importlib.util
import logging
import tempfile
from collections.abc import Callable

import torch
from torch import nn

from cases import (
    BATCH,
    INFO,
    Case,
    Ours,
    Pair,
    Skipped,
    baseline_side,
    count_flop,
    our_side,
    repeated,
    split,
)
from vaebench import methods
from vaebench.data.dataset import Split
from vaebench.training.numerics import Numerics
from vaebench.training.recipe import Recipe


def build(numerics: Numerics, steps: int) -> Pair:
    """Both sides; pythae's turn is a call of `train_step`, an epoch of `steps` batches."""
    if importlib.util.find_spec("pythae") is None:
        raise Skipped('pythae is not installed: pip install -e ".[throughput]"')
    data = split()
    ours = Ours(_recipe(), data)
    theirs = _trainer(data, steps)
    our_flop = count_flop(ours.step)
    return Pair(
        baseline_side("pythae", numerics.threads, theirs, count_flop(theirs) / steps),
        our_side(numerics, repeated(ours.step, steps), our_flop),
    )


def _recipe() -> Recipe:
    """`igp.vae` with pythae's activation."""
    torch.manual_seed(0)
    arguments = {"latent": 32, "hidden": [512], "posterior": "diagonal"}
    recipe = methods.build("igp.vae", INFO, arguments)
    for part in (recipe.model.encoder, recipe.model.decoder):
        part.layers[1] = nn.ReLU()  # type: ignore[attr-defined]
    return recipe


def _trainer(data: Split, steps: int) -> Callable[[], None]:
    """One epoch of pythae's BaseTrainer, unmodified; only its progress bar is taken away."""
    from pythae.data.datasets import BaseDataset
    from pythae.models import VAE, VAEConfig
    from pythae.trainers import BaseTrainer, BaseTrainerConfig
    from pythae.trainers.training_callbacks import ProgressBarCallback

    logging.getLogger("pythae").setLevel(logging.WARNING)
    logging.getLogger("pythae.trainers.base_trainer.base_trainer").setLevel(logging.WARNING)
    kept = steps * BATCH
    pixels = data.pixels(data.images[:kept])
    config = VAEConfig(input_dim=INFO.shape, latent_dim=32, reconstruction_loss="bce")
    with tempfile.TemporaryDirectory() as folder:
        trainer = BaseTrainer(
            VAE(config),
            BaseDataset(pixels, data.labels[:kept]),
            training_config=BaseTrainerConfig(
                output_dir=folder, per_device_train_batch_size=BATCH, no_cuda=True
            ),
        )
        trainer.prepare_training()
    handler = trainer.callback_handler
    handler.callbacks = [
        each for each in handler.callbacks if not isinstance(each, ProgressBarCallback)
    ]

    def epoch() -> None:
        trainer.train_step(1)

    return epoch


CASES = (Case("pythae-trainer", build, 40, 2.4),)
