"""IGP's text VAE against the way of its official code: a training step on 128 sentences, greedy
decoding, and the metrics of decoded sentences against the time it took to decode them."""

import math
from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from cases import Case, Ours, Pair, baseline_side, our_side, repeated
from igp_text_plain import (
    BATCH,
    EMBEDDING,
    HIDDEN,
    LATENT,
    TARGET,
    VOCABULARY,
    PlainTraining,
    PlainVae,
)
from vaebench import methods
from vaebench.data.dataset import DataInfo, TextSplit
from vaebench.data.tokenizers import BOS, EOS, PAD, SPECIALS
from vaebench.estimators import text_metrics
from vaebench.estimators.text_metrics import Sentences
from vaebench.models import decoding
from vaebench.models.latent import LatentModel
from vaebench.models.lstm import LstmDecoder
from vaebench.objectives.clock import Clock
from vaebench.registry.runs import Adam
from vaebench.training.batching import epoch_order
from vaebench.training.numerics import Numerics
from vaebench.training.recipe import Recipe

SIZE, DECODED = 40 * BATCH, 1_000
WORDS, LONGEST = 16, 40  # </s> among them: the mean of IGP's CBT, and the longest of a sentence
INFO = DataInfo(*("random", "stand-in", (), 0, SIZE, 0), vocabulary=VOCABULARY, longest=LONGEST + 1)
ADAM = Adam(name="adam", lr=5e-4, eps=1e-7)
NAMES = {
    "encoder.embedding.": "embedding.",
    "encoder.lstm.layer.": "encoder.",
    "decoder.lstm.layer.": "decoder.",
    "decoder.output.": "output.",
    "head.mean.": "mean.",
    "head.log_variance.": "log_variance.",
}
# Multiplications and additions of matrix products for a word, forward.
PROJECTION = 2 * HIDDEN * VOCABULARY
OF_HIDDEN, OF_WORD, OF_CODE = (2 * 4 * HIDDEN * size for size in (HIDDEN, EMBEDDING, LATENT))
DECODER = OF_HIDDEN + OF_WORD + OF_CODE
LSTMS = DECODER + OF_HIDDEN + OF_WORD


def recipe() -> Recipe:
    """VAE with IGP of Table 9, the target reached."""
    torch.manual_seed(0)
    network = {"embedding": EMBEDDING, "hidden": HIDDEN, "latent": LATENT}
    arguments = {"posterior": "isotropic", "prior": "gaussian", "ramp": 0, "beta": 1.0}
    return methods.build("igp_text.vae", INFO, {"network": network, "target": TARGET, **arguments})


def data() -> TextSplit:
    """Random sentences, a word more frequent than others, lengths as children's books have them."""
    generator = torch.Generator().manual_seed(0)
    spread = torch.randn(SIZE, generator=generator).mul(0.55).exp() * (WORDS * math.exp(-0.15))
    words = spread.round().clamp(3, LONGEST).long()  # </s> among them
    ranks = torch.rand(int((words + 1).sum()), generator=generator).pow_(4)
    tokens = len(SPECIALS) + (ranks * (VOCABULARY - len(SPECIALS))).int()
    ends = (words + 1).cumsum(0)
    tokens[ends - 1], tokens[ends - words - 1] = EOS, BOS
    return TextSplit(tokens, words + 1, torch.zeros(SIZE, dtype=torch.int64))


def renamed(model: nn.Module) -> Mapping[str, nn.Parameter]:
    """Our parameters by the baseline's names of them."""

    def rename(name: str) -> str:
        for ours, theirs in NAMES.items():
            name = name.replace(ours, theirs)
        return name

    return {rename(name): weight for name, weight in model.named_parameters()}


def share_weights(ours: nn.Module, theirs: PlainVae) -> None:
    """Give the baseline our weights; its second biases, which ours have not, are zero."""
    weights = dict(renamed(ours))
    with torch.no_grad():
        for name, weight in theirs.named_parameters():
            if name.endswith("bias_hh_l0"):
                weight.zero_()
            else:
                weight.copy_(weights.pop(name))
    if weights:
        raise RuntimeError(f"the baseline has no {', '.join(weights)}")


def build_step(numerics: Numerics, steps: int) -> Pair:
    made, split, plain = recipe(), data(), PlainVae()
    share_weights(made.model, plain)
    batch = split.take(torch.arange(BATCH))
    losses = []
    for loss in (
        lambda: made.objective(made.model, batch, Clock.at(1, 1, 1))["loss"],
        lambda: plain.loss(batch.x),
    ):
        torch.manual_seed(0)
        losses.append(float(loss().detach()))
    theirs = PlainTraining(plain, split.take(torch.arange(SIZE)).x)
    ours = Ours(made, split, batch=BATCH, optimizer=ADAM)
    for side in (ours, theirs):
        side.step()
    whole = 3 * BATCH * LONGEST * (PROJECTION + LSTMS)
    batches = split.lengths[epoch_order(SIZE, 0, 1)].view(-1, BATCH) - 1
    shown, said = batches.max(1).values.float().mean(), batches.sum(1).float().mean()
    needed = 3 * float(BATCH * shown * LSTMS + said * PROJECTION)
    return Pair(
        baseline_side("as official", numerics.threads, repeated(theirs.step, steps), whole),
        our_side(numerics, repeated(ours.step, steps), needed),
        abs(losses[0] / losses[1] - 1),
    )


def talkative(model: LatentModel) -> LstmDecoder:
    """The model's decoder with weights that let sentences differ, and end after WORDS words in the
    mean were they not cut."""
    decoder = model.decoder
    assert isinstance(decoder, LstmDecoder)
    with torch.no_grad():
        decoder.embedding.weight.normal_()
        decoder.output.weight.normal_()
        words, state = torch.randint(len(SPECIALS), VOCABULARY, (200,)), decoder.start(codes(200))
        for _ in range(3):
            logits, state = decoder.advance(words, state)
        logits[:, [PAD, BOS]] = -torch.inf
        ends = logits[:, EOS].clone()
        logits[:, EOS] = -torch.inf
        decoder.output.bias[EOS] += torch.quantile(logits.max(1).values - ends, 1 / WORDS)
    return decoder


def codes(count: int) -> Tensor:
    """Draws of the prior."""
    return torch.randn(count, LATENT)


def build_decoding(numerics: Numerics, steps: int) -> Pair:
    """A step is a sentence; the difference is the share of words that are not the same."""
    model, plain = recipe().model, PlainVae()
    assert isinstance(model, LatentModel)
    decoder = talkative(model)
    share_weights(model, plain)
    z = codes(steps)
    said, wanted = decoding.greedy(decoder, z, LONGEST), plain.decode(z, LONGEST)
    counted = said != PAD
    words = float(counted.sum() / steps)
    print(f"\n{words:.1f} of {LONGEST} words a sentence, ", end="")
    return Pair(
        baseline_side(
            "as official",
            numerics.threads,
            lambda: plain.decode(z, LONGEST),
            LONGEST * (DECODER + PROJECTION),
        ),
        our_side(
            numerics,
            lambda: _decode(decoder, z),
            words * (OF_HIDDEN + OF_WORD + PROJECTION) + OF_CODE,
        ),
        float((said != wanted[:, : said.shape[1]])[counted].float().mean()),
    )


def build_metrics(numerics: Numerics, steps: int) -> Pair:
    """BLEU and ROUGE of as many sentences as were decoded, against the decoding."""
    model = recipe().model
    assert isinstance(model, LatentModel)
    decoder, z = talkative(model), codes(steps)
    said, wanted = decoding.greedy(decoder, z, LONGEST), data().take(torch.arange(steps)).x[:, 1:]
    pair = [Sentences(words, decoding.word_counts(words)) for words in (said, wanted)]

    def metrics() -> None:
        found = text_metrics.overlap(*pair, 4)
        for most in (2, 4):
            text_metrics.bleu(found, most)
            text_metrics.rouge(found, most)

    decode = our_side(numerics, lambda: _decode(decoder, z), 0)
    return Pair(replace(decode, name="decoding"), our_side(numerics, metrics, 0))


@torch.no_grad()
def _decode(decoder: LstmDecoder, z: Tensor) -> None:
    decoding.greedy(decoder, z, LONGEST)


CASES = (
    Case("igp-text-step", build_step, 2, rounds=5),
    Case("igp-text-decode", build_decoding, DECODED, rounds=5),
    Case("igp-text-metrics", build_metrics, DECODED, 1.0, rounds=5),
)
