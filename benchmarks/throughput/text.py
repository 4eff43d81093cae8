"""DU-VAE's text model against the authors' way: a training step on 32 sentences of 80 words, in
float32 and with bfloat16, and the importance-weighted likelihood of one of them."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from cases import Case, Ours, Pair, baseline_side, our_side, repeated
from text_plain import (
    BATCH,
    CLIP,
    EMBEDDING,
    GAMMA,
    HIDDEN,
    KEEP,
    LATENT,
    RATE,
    SAMPLES,
    VOCABULARY,
    WORDS,
    PlainTraining,
    PlainVae,
)
from vaebench import methods
from vaebench.data.dataset import DataInfo, TextSplit
from vaebench.data.tokenizers import BOS, EOS, SPECIALS
from vaebench.evaluation.importance import importance_log_likelihoods
from vaebench.models.latent import LatentModel
from vaebench.models.lstm import uniform
from vaebench.objectives.clock import Clock
from vaebench.registry.runs import Sgd
from vaebench.training.numerics import Numerics
from vaebench.training.recipe import Recipe

SIZE = 10 * BATCH
INFO = DataInfo(*("random", "stand-in", (), 0, SIZE, 0), vocabulary=VOCABULARY, longest=WORDS + 1)
SGD = Sgd(name="sgd", lr=RATE)
NAMES = {
    "lstm.layer.": "lstm.",
    "head.linear.": "encoder.linear.",
    "head.mean.scale": "encoder.norm.weight",
    "head.mean.shift": "encoder.norm.bias",
}
# Multiplications and additions of matrix products, a step of one sentence.
PROJECTION = 2 * HIDDEN * VOCABULARY
OF_HIDDEN, OF_WORD, OF_CODE = (2 * 4 * HIDDEN * size for size in (HIDDEN, EMBEDDING, LATENT))
# Forward and backward; the encoder sees <s> too.
STEP_FLOP = 3 * BATCH * (WORDS * (PROJECTION + OF_HIDDEN + OF_WORD + OF_CODE)) + 3 * BATCH * (
    WORDS + 1
) * (OF_HIDDEN + OF_WORD)


def recipe() -> Recipe:
    """DU-VAE of Table 1 on Yahoo, after the warm-up."""
    torch.manual_seed(0)
    network = {"kind": "lstm", "width": 1, "latent": LATENT}
    sizes = {"embedding": EMBEDDING, "hidden": HIDDEN}
    annealing = {"start": 1.0, "epochs": 1}
    arguments = {"annealing": annealing, "gamma": GAMMA, "keep": KEEP}
    made = methods.build("du_vae.du_vae", INFO, {"network": network | sizes, **arguments})
    # Far from where training begins, so that words differ in probability.
    uniform(made.model.decoder, weights=0.1, biases=0.1, embeddings=1.0)
    return made


def data() -> TextSplit:
    """Random sentences of one length, some words much more frequent than others."""
    generator = torch.Generator().manual_seed(0)
    ranks = torch.rand(SIZE, WORDS + 1, generator=generator).pow_(4)
    tokens = len(SPECIALS) + (ranks * (VOCABULARY - len(SPECIALS))).int()
    tokens[:, 0], tokens[:, -1] = BOS, EOS
    lengths = torch.full((SIZE,), WORDS + 1)
    return TextSplit(tokens.flatten(), lengths, torch.zeros(SIZE, dtype=torch.int64))


def renamed(model: nn.Module) -> Mapping[str, nn.Parameter]:
    """Our parameters by the baseline's names of them."""

    def rename(name: str) -> str:
        for ours, theirs in NAMES.items():
            name = name.replace(ours, theirs)
        return name

    return {rename(name): weight for name, weight in model.named_parameters()}


def share_weights(ours: nn.Module, theirs: nn.Module) -> None:
    """Give the baseline our weights; an error unless both have the same parameters."""
    weights = dict(renamed(ours))
    with torch.no_grad():
        for name, weight in theirs.named_parameters():
            weight.copy_(weights.pop(name))
    if weights:
        raise RuntimeError(f"the baseline has no {', '.join(weights)}")


def difference(made: Recipe, theirs: PlainVae, x: Tensor) -> float:
    """Of the losses in evaluation mode, where no dropout is drawn, by our way of training."""
    batch = data().take(torch.arange(len(x)))
    losses = []
    for model, loss in (
        (made.model, lambda: made.objective(made.model, batch, Clock.at(1, 1, 1))["loss"]),
        (theirs, lambda: theirs.loss(x)),
    ):
        model.eval()
        torch.manual_seed(0)
        losses.append(float(loss().detach()))
        model.train()
    return abs(losses[0] / losses[1] - 1)


def build_step(numerics: Numerics, steps: int, *, bfloat16: bool) -> Pair:
    made, split, plain = recipe(), data(), PlainVae()
    share_weights(made.model, plain)
    x = split.take(torch.arange(SIZE)).x
    theirs = PlainTraining(plain, list(x.split(BATCH)))
    if bfloat16:
        made = made.at("bf16", torch.device("cpu"))
    found = difference(made, plain, x[:BATCH])
    ours = Ours(made, split, batch=BATCH, optimizer=SGD, clip=CLIP)
    for side in (ours, theirs):
        side.step()
    return Pair(
        baseline_side("as official", numerics.threads, repeated(theirs.step, steps), STEP_FLOP),
        our_side(numerics, repeated(ours.step, steps), STEP_FLOP),
        found,
    )


def build_likelihood(numerics: Numerics, steps: int) -> Pair:
    """`steps` times one sentence; the difference is that of log p(x|z) at equal z."""
    model, theirs = recipe().model, PlainVae()
    assert isinstance(model, LatentModel)
    share_weights(model, theirs)
    for one in (model, theirs):
        one.eval()
    x, z = data().take(torch.arange(1)).x, torch.randn(10, 1, LATENT)
    with torch.no_grad():
        first, second = model.decoder.log_prob(x, z), theirs.decoder.log_prob(x, z.transpose(0, 1))

    def ours() -> None:
        importance_log_likelihoods(model, x, SAMPLES)

    def official() -> None:
        theirs.nll(x)

    word = PROJECTION + OF_HIDDEN
    theirs_flop = SAMPLES * WORDS * (word + OF_WORD + OF_CODE)
    our_flop = SAMPLES * (WORDS * word + OF_CODE) + WORDS * OF_WORD
    return Pair(
        baseline_side("as official", numerics.threads, repeated(official, steps), theirs_flop),
        our_side(numerics, repeated(ours, steps), our_flop),
        float((first / second.t() - 1).abs().max()),
    )


def _step(name: str, target: float, share: float | None, *, bfloat16: bool) -> Case:
    def make(numerics: Numerics, steps: int) -> Pair:
        return build_step(numerics, steps, bfloat16=bfloat16)

    return Case(name, make, 1, target, rounds=5, share=share)


CASES = (
    _step("text-step", 1.5, 0.65, bfloat16=False),
    _step("text-step-bf16", 2.2, None, bfloat16=True),
    Case("text-iw", build_likelihood, 1, 2.25, rounds=3, share=0.8),
)
