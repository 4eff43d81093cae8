"""MAE's model of binary images, 28x28, against the authors' way: a training step at batch 100, its
regulariser, the importance-weighted likelihood, and drawing images."""

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from cases import (
    Case,
    Ours,
    Pair,
    baseline_side,
    check_compiler,
    count_flop,
    images,
    our_side,
    repeated,
)
from mae_plain import (
    AVERAGE,
    BATCH,
    CLIP,
    ETA,
    GAMMA,
    LATENT,
    RATE,
    SAMPLES,
    SIDE,
    PlainTraining,
    PlainVae,
    plain_vae,
    regulariser,
)
from vaebench import methods
from vaebench.data.dataset import DataInfo, ImageSplit, Split, bernoulli, real
from vaebench.evaluation.importance import importance_log_likelihoods
from vaebench.models.latent import LatentModel
from vaebench.models.posteriors import GaussianPosterior
from vaebench.objectives.clock import Clock
from vaebench.objectives.mutual import MutualPosteriorDivergence
from vaebench.registry.runs import Adam
from vaebench.training.numerics import Numerics
from vaebench.training.recipe import Recipe

INFO = DataInfo("random", "stand-in", (1, SIDE, SIDE), 0, 5_000, 0)
ADAM = Adam(name="adam", lr=RATE)
SEEN = 100  # examples in the pass over data
IMAGES, DRAWN = 2, 4  # of the likelihood, and those that are drawn
PAIRS = 200  # regularisers a turn
# Of a flow's layers the networks they are of in the baseline, one after the other, and the layer.
PARTS = {
    "hidden": (("shift", "scale"), "input"),
    "beside": (("shift", "scale"), "direct"),
    "shift": (("shift",), "output"),
    "scale": (("scale",), "output"),
}


def built() -> Recipe:
    """MAE (1.0, 0.5) of Table 1."""
    torch.manual_seed(0)
    network = {"kind": "resnet-pixelcnn", "width": 1, "latent": LATENT}
    arguments = {"eta": ETA, "gamma": GAMMA, "diverse": "code"}
    return methods.build("mae.mae", INFO, {"network": network, **arguments})


def recipe() -> Recipe:
    """The same after the pass over data."""
    return started(built(), data(), SEEN)


def data() -> Split:
    return ImageSplit(images(INFO), torch.zeros(INFO.train_size, dtype=torch.int64), bernoulli)


def started(made: Recipe, data: Split, count: int) -> Recipe:
    """The same, whose model has seen the first so many examples."""
    assert made.start is not None
    made.start.see(made.model, data.take(torch.arange(count)).x)
    return made


def renamed(ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our parameters, or their gradients, by the baseline's names of them.

    The layers of our flows are those of two networks, and every second flow is reversed there.
    """
    found = {}
    for name, weight in ours.items():
        part = re.fullmatch(r"(prior\.flows\.(\d+))\.(\w+)\.(\w+)", name)
        if part is None:
            found[name] = uncropped(weight) if name.endswith("masked.direction") else weight
            continue
        flow, number, layer, kind = part.groups()
        networks, layer = PARTS[layer]
        for network, some in zip(networks, weight.chunk(len(networks)), strict=True):
            turned = some.flip(*range(some.dim())) if int(number) % 2 == 0 else some
            found[f"{flow}.{network}.{layer}.{kind}"] = turned
    return found


def uncropped(kernel: Tensor) -> Tensor:
    """A kernel of ours with the rows below that were cropped, which are zero."""
    below = kernel.shape[3] - kernel.shape[2]
    return torch.cat([kernel, torch.zeros_like(kernel[:, :, :below])], 2)


@torch.no_grad()
def share_weights(ours: Mapping[str, Tensor], theirs: nn.Module) -> None:
    """Give the baseline our weights; an error unless both have the same parameters."""
    weights = dict(ours)
    for name, weight in theirs.named_parameters():
        weight.copy_(weights.pop(name))
    if weights:
        raise RuntimeError(f"the baseline has no {', '.join(weights)}")


def pair_of_models() -> tuple[LatentModel, PlainVae]:
    """Ours and the baseline with equal weights, in evaluation mode."""
    model, theirs = recipe().model, plain_vae()
    assert isinstance(model, LatentModel)
    share_weights(renamed(dict(model.named_parameters())), theirs)
    return model.eval(), theirs.eval()


def difference(made: Recipe, theirs: PlainVae, data: Split, count: int) -> float:
    """Of the losses at equal noise, relative."""
    batch = data.take(torch.arange(count))
    with torch.no_grad():
        torch.manual_seed(0)
        first = float(made.objective(made.model, batch, Clock.at(1, count, count))["loss"])
        torch.manual_seed(0)
        second = float(theirs.loss(batch.x))
    return abs(first / second - 1)


def our_steps(made: Recipe, split: Split, *, compiled: bool) -> tuple[Ours, float]:
    """The steps and the FLOP of one."""
    ours = Ours(made, split, batch=BATCH, optimizer=ADAM, clip=CLIP, average=AVERAGE)
    flop = count_flop(ours.step)
    if compiled:
        ours.objective = made.compiled().objective
    return ours, flop


def build_step(numerics: Numerics, steps: int, *, compiled: bool, bfloat16: bool) -> Pair:
    if compiled:
        check_compiler()
    made, split, plain = recipe(), data(), plain_vae()
    share_weights(renamed(dict(made.model.named_parameters())), plain)
    theirs = PlainTraining(
        plain, real(images(INFO)), torch.bernoulli, batch=BATCH, betas=ADAM.betas
    )
    if bfloat16:
        made = made.at("bf16", torch.device("cpu"))
    found = difference(made, plain, split, BATCH)
    ours, our_flop = our_steps(made, split, compiled=compiled)
    their_flop = count_flop(theirs.step)
    return Pair(
        baseline_side("as official", numerics.threads, repeated(theirs.step, steps), their_flop),
        our_side(numerics, repeated(ours.step, steps), our_flop),
        found,
    )


def posteriors() -> tuple[Tensor, Tensor]:
    """Means and log variances of a batch."""
    generator = torch.Generator().manual_seed(0)
    mean = torch.randn(BATCH, LATENT, generator=generator)
    log_variance = torch.rand(BATCH, LATENT, generator=generator) - 2
    return mean.requires_grad_(), log_variance.requires_grad_()


def our_regulariser(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Both terms."""
    pairs = MutualPosteriorDivergence(diversity=ETA, smoothness=GAMMA)
    return torch.stack(list(pairs(GaussianPosterior(mean, log_variance)).values())).sum()


def build_regulariser(numerics: Numerics, steps: int) -> Pair:
    """With gradients."""
    inputs = posteriors()

    def ours() -> None:
        torch.autograd.grad(our_regulariser(*inputs), inputs)

    def official() -> None:
        torch.autograd.grad(regulariser(*inputs, ETA, GAMMA), inputs)

    first, second = our_regulariser(*inputs).item(), regulariser(*inputs, ETA, GAMMA).item()
    return Pair(
        baseline_side("as official", numerics.threads, repeated(official, steps), 0.0),
        our_side(numerics, repeated(ours, steps), count_flop(ours)),
        abs(first / second - 1),
    )


def build_share(numerics: Numerics, steps: int) -> Pair:
    """The same beside the fastest step that it is a part of."""
    check_compiler()
    made = recipe().at("bf16", torch.device("cpu"))
    ours, flop = our_steps(made, data(), compiled=True)
    step = our_side(numerics, repeated(ours.step, steps), flop)
    return Pair(replace(step, name="step"), build_regulariser(numerics, steps).ours)


def build_likelihood(numerics: Numerics, steps: int) -> Pair:
    """`steps` times two images, one after the other the authors' way; the difference is that of
    log p(x|z) at equal z."""
    model, theirs = pair_of_models()
    x, z = data().take(torch.arange(IMAGES)).x, torch.randn(10, IMAGES, LATENT)
    with torch.no_grad():
        first = model.decoder.log_prob(x, z)
        second = theirs.decoder.log_prob(x, z.transpose(0, 1)).t()
        our_flop, their_flop = (
            SAMPLES / len(z) * count_flop(partial(decoder.log_prob, x, some))
            for decoder, some in ((model.decoder, z), (theirs.decoder, z.transpose(0, 1)))
        )

    def ours() -> None:
        importance_log_likelihoods(model, x, SAMPLES)

    def official() -> None:
        for image in torch.split(x, 1):
            theirs.nll(image, SAMPLES)

    return Pair(
        baseline_side("as official", numerics.threads, repeated(official, steps), their_flop),
        our_side(numerics, repeated(ours, steps), our_flop),
        float((first / second - 1).abs().max()),
    )


def build_sampling(numerics: Numerics, steps: int) -> Pair:
    """A step is an image; the difference is the share of the pixels of one that are not the same at
    equal noise."""
    model, theirs = pair_of_models()
    z = torch.randn(steps, LATENT)
    drawn = []
    with torch.no_grad():
        for decoder in (model.decoder, theirs.decoder):
            torch.manual_seed(0)
            drawn.append(decoder.sample(z[:1]))
        our_flop = count_flop(partial(model.decoder.sample, z[:1]))
        maps = torch.zeros(1, 5, SIDE, SIDE)
        their_flop = SIDE**2 * count_flop(partial(theirs.decoder.probabilities, maps))
    return Pair(
        baseline_side(
            "as official", numerics.threads, partial(theirs.decoder.sample, z), their_flop
        ),
        our_side(numerics, partial(model.decoder.sample, z), our_flop),
        float((drawn[0] != drawn[1]).float().mean()),
    )


def _step(name: str, target: float | None, *, compiled: bool, bfloat16: bool) -> Case:
    def make(numerics: Numerics, steps: int) -> Pair:
        return build_step(numerics, steps, compiled=compiled, bfloat16=bfloat16)

    return Case(name, make, 1, target)


CASES = (
    _step("mae-step", None, compiled=False, bfloat16=False),
    _step("mae-step-compiled", 1.35, compiled=True, bfloat16=False),
    _step("mae-step-bf16", 2.5, compiled=True, bfloat16=True),
    Case("mae-regulariser", build_regulariser, PAIRS, 2.5),
    Case("mae-regulariser-share", build_share, 2, 100.0),
    Case("mae-iw", build_likelihood, 1, rounds=3),
    Case("mae-sampling", build_sampling, DRAWN, rounds=3),
)
