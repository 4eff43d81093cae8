"""A training step of MAE's model of CIFAR-10, 32x32, against the authors' way, at batch 8: at the
paper's 64 it takes a minute."""

import re
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from cases import Case, Ours, Pair, baseline_side, count_flop, images, our_side, repeated
from mae import difference, share_weights, started, uncropped
from mae_cifar_plain import BATCH, BETAS, ETA, GAMMA, MAPS, plain_vae
from mae_plain import AVERAGE, CLIP, RATE, PlainTraining
from vaebench import methods
from vaebench.data.dataset import DataInfo, ImageSplit, Split, symmetric
from vaebench.registry.runs import Adam
from vaebench.training.numerics import Numerics
from vaebench.training.recipe import Recipe

INFO = DataInfo("random", "stand-in", (3, 32, 32), 0, 100, 0)
ADAM = Adam(name="adam", lr=RATE, betas=BETAS)
WIDTH = 1.0
SEEN = BATCH  # examples in the pass over data


def _level_first(name: re.Match[str]) -> str:
    """The baseline's beginning of a name of ours from one of the streams."""
    stream, levels, layer, number = name.groups(default="")
    return f"decoder.{layer}.{levels.count('level')}{number}.{stream}."


NAMES: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    (r"^(prior\.flows\.\d+)\.log_variance\.", r"\1.scale."),
    (r"^(decoder\..*)\bconvolution\.", r"\1"),
    (r"^decoder\.head\.", "decoder."),
    (
        r"^decoder\.conditions\.(inward|outward)\.(\d+)\.(\w+)\.(\d+)",
        r"decoder.\1.\2.\4.condition.\3",
    ),
    (r"^decoder\.conditions\.(narrow|widen)\.(\d+)", r"decoder.\1.\2.condition"),
    (r"^decoder\.conditions\.", "decoder."),
    (
        r"^decoder\.(vertical|horizontal)\.((?:coarser\.level\.)*)(?:coarser\.)?(\w+)(\.\d+)?\.",
        _level_first,
    ),
)


def built() -> Recipe:
    """MAE (0.5, 1.5) of Table 3."""
    torch.manual_seed(0)
    network = {"kind": "densenet-pixelcnn++", "width": WIDTH, "latent": MAPS}
    arguments = {"eta": ETA, "gamma": GAMMA, "diverse": "code"}
    return methods.build("mae.mae", INFO, {"network": network, **arguments})


def recipe() -> Recipe:
    """The same after the pass over data."""
    return started(built(), data(), SEEN)


def data() -> Split:
    return ImageSplit(images(INFO), torch.zeros(INFO.train_size, dtype=torch.int64), symmetric)


def renamed(ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our parameters, or their gradients, by the baseline's names of them; every second flow is
    reversed there."""
    found = {}
    for name, weight in ours.items():
        flow = re.match(r"prior\.flows\.(\d+)\.", name)
        if flow and name.endswith("direction"):
            weight = uncropped(weight)
            weight = weight.flip(2, 3) if int(flow[1]) % 2 == 0 else weight
        for pattern, theirs in NAMES:
            name = re.sub(pattern, theirs, name)
        found[name] = weight
    return found


def build_step(numerics: Numerics, steps: int) -> Pair:
    """The losses are compared in evaluation mode, where no dropout is drawn."""
    made, split, plain = recipe(), data(), plain_vae()
    share_weights(renamed(dict(made.model.named_parameters())), plain)
    for model in (made.model, plain):
        model.eval()
    found = difference(made, plain, split, BATCH)
    plain.train()
    theirs = PlainTraining(
        plain, symmetric(images(INFO)), lambda x: x, batch=BATCH, betas=ADAM.betas
    )
    ours = Ours(made, split, batch=BATCH, optimizer=ADAM, clip=CLIP, average=AVERAGE)
    our_flop, their_flop = count_flop(ours.step), count_flop(theirs.step)
    return Pair(
        baseline_side("as official", numerics.threads, repeated(theirs.step, steps), their_flop),
        our_side(numerics, repeated(ours.step, steps), our_flop),
        found,
    )


CASES = (Case("cifar-step", build_step, 1, rounds=3),)
