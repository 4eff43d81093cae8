"""DU-VAE's image model, 28x28, against the authors' way: a training step at batch 50, the
importance-weighted likelihood, and mutual information."""

import math
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
from du_vae_plain import (
    BATCH,
    CLIP,
    LATENT,
    RATE,
    SAMPLES,
    PlainTraining,
    PlainVae,
    plain_information,
)
from vaebench import methods
from vaebench.data.dataset import DataInfo, ImageSplit, Split, real
from vaebench.estimators.mutual_information import latent_form
from vaebench.evaluation.importance import importance_log_likelihoods
from vaebench.models.latent import LatentModel
from vaebench.objectives.clock import Clock
from vaebench.registry.runs import Adam
from vaebench.training.numerics import Numerics
from vaebench.training.recipe import Recipe

INFO = DataInfo("random", "stand-in", (1, 28, 28), 0, 5_000, 0)
ADAM = Adam(name="adam", lr=RATE)
IMAGES = 2  # of the likelihood
POSTERIORS, BATCHES = 10_000, 20  # of the 313 batches of the mutual information


def recipe() -> Recipe:
    """The VAE of DU-VAE's Table 1 on OMNIGLOT, its KL at full weight."""
    torch.manual_seed(0)
    network = {"kind": "resnet-pixelcnn", "width": 1, "latent": LATENT}
    annealing = {"start": 1.0, "epochs": 1}
    return methods.build("du_vae.vae", INFO, {"network": network, "annealing": annealing})


def binary(images: Tensor) -> Tensor:
    """Each pixel drawn by its grey value."""
    return torch.bernoulli(real(images))


def data() -> Split:
    return ImageSplit(images(INFO), torch.zeros(INFO.train_size, dtype=torch.int64), binary)


def share_weights(ours: nn.Module, theirs: nn.Module) -> None:
    """Give the baseline our weights; the rows that our masked kernels lack are zero there."""
    weights = dict(ours.named_parameters())
    with torch.no_grad():
        for name, weight in theirs.named_parameters():
            given = weights.pop(name)
            if given.shape == weight.shape:
                weight.copy_(given)
            else:
                weight.zero_()[:, :, : given.shape[2]] = given
    if weights:
        raise RuntimeError(f"the baseline has no {', '.join(weights)}")


def build_step(numerics: Numerics, steps: int, *, compiled: bool, bfloat16: bool) -> Pair:
    if compiled:
        check_compiler()
    made, split = recipe(), data()
    theirs = PlainTraining(PlainVae(), split)
    share_weights(made.model, theirs.model)
    if bfloat16:
        made = made.at("bf16", torch.device("cpu"))
    ours = Ours(made, split, batch=BATCH, optimizer=ADAM, clip=CLIP)
    batch = split.take(torch.arange(BATCH))
    with torch.no_grad():
        torch.manual_seed(0)
        now = Clock.at(1, BATCH, BATCH)
        first = float(made.objective(made.model, batch, now)["loss"])
        torch.manual_seed(0)
        second = float(theirs.model.loss(batch.x))
    our_flop, their_flop = count_flop(ours.step), count_flop(theirs.step)
    if compiled:
        ours.objective = made.compiled().objective
    return Pair(
        baseline_side("as official", numerics.threads, repeated(theirs.step, steps), their_flop),
        our_side(numerics, repeated(ours.step, steps), our_flop),
        abs(first / second - 1),
    )


def build_likelihood(numerics: Numerics, steps: int) -> Pair:
    """`steps` times two images; the difference is that of log p(x|z) at equal z."""
    model, theirs = recipe().model, PlainVae()
    assert isinstance(model, LatentModel)
    share_weights(model, theirs)
    for one in (model, theirs):
        one.eval()
    x = data().take(torch.arange(IMAGES)).x
    z = torch.randn(10, IMAGES, LATENT)
    with torch.no_grad():
        first, second = (decoder.log_prob(x, z) for decoder in (model.decoder, theirs.decoder))
        our_flop, their_flop = (
            SAMPLES / len(z) * count_flop(partial(decoder.log_prob, x, z))
            for decoder in (model.decoder, theirs.decoder)
        )

    def ours() -> None:
        importance_log_likelihoods(model, x, SAMPLES)

    def official() -> None:
        theirs.nll(x)

    return Pair(
        baseline_side("as official", numerics.threads, repeated(official, steps), their_flop),
        our_side(numerics, repeated(ours, steps), our_flop),
        float((first / second - 1).abs().max()),
    )


def build_information(numerics: Numerics, steps: int) -> Pair:
    """A step is the draws of 20 of 313 batches against all 10,000 posteriors, on both sides."""
    generator = torch.Generator().manual_seed(0)
    means = torch.randn(POSTERIORS, LATENT, generator=generator)
    log_variances = torch.rand(POSTERIORS, LATENT, generator=generator) - 2
    noise = torch.randn(POSTERIORS, LATENT, generator=generator)
    z = means + torch.exp(0.5 * log_variances) * noise
    posteriors = list(zip(z.split(32), means.split(32), log_variances.split(32), strict=True))
    some = 32 * BATCHES

    def official() -> None:
        plain_information(posteriors, BATCHES)

    def ours() -> None:
        latent_form(z[:some], means, log_variances)

    # Of those batches by themselves, for the whole takes the baseline long.
    first = latent_form(z[:some], means[:some], log_variances[:some])
    entropy = 0.5 * (LATENT * (math.log(2 * math.pi) + 1) + log_variances[:some].sum(1)).mean()
    second = -float(entropy) - plain_information(posteriors[:BATCHES], BATCHES) / some
    return Pair(
        baseline_side("as official", numerics.threads, repeated(official, steps), 0.0),
        our_side(numerics, repeated(ours, steps), count_flop(ours)),
        abs(first / second - 1),
    )


def _step(name: str, target: float | None, *, compiled: bool, bfloat16: bool) -> Case:
    def make(numerics: Numerics, steps: int) -> Pair:
        return build_step(numerics, steps, compiled=compiled, bfloat16=bfloat16)

    return Case(name, make, 2, target)


CASES = (
    _step("omniglot-step", None, compiled=False, bfloat16=False),
    _step("omniglot-step-compiled", 1.3, compiled=True, bfloat16=False),
    _step("omniglot-step-bf16", 1.7, compiled=True, bfloat16=True),
    Case("omniglot-iw", build_likelihood, 1, 3.9, rounds=3),
    Case("mutual-information", build_information, 1, 8.0),
)
