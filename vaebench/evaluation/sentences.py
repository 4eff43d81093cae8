"""Sentences of a model as texts: decoded draws of the prior, and the way from one to another."""

import torch
from torch import Tensor

from vaebench.data.dataset import Dataset
from vaebench.errors import UserError
from vaebench.evaluation import Value, codes, evaluator
from vaebench.models import decoding
from vaebench.models.decoding import WordDecoder
from vaebench.models.latent import LatentModel

DECODINGS = ("greedy", "beam", "sample")
_LONGEST = 100  # words, </s> among them, as in the official code


@evaluator
@torch.no_grad()
def prior_sentences(
    model: LatentModel, data: Dataset, *, count: int, decode: str, width: int
) -> dict[str, Value]:
    """`sentence_1` and so on: decoded draws z ~ p(z), `count` of them; `width` is that of a beam, 0
    for other ways to `decode`. DU-VAE, Table S3."""
    z = model.prior.sample(count, data.test.labels.device)
    texts = decoded(model, data, z, decode, width)
    return {f"sentence_{i}": text for i, text in enumerate(texts, 1)}


@evaluator
@torch.no_grad()
def interpolated_sentences(
    model: LatentModel, data: Dataset, *, pairs: int, steps: int
) -> dict[str, Value]:
    """`source_1` and `target_1`: test sentences, the same for every model; `sentence_1_1` to
    `sentence_1_5`, for five `steps`: the greedy decodings of evenly spaced codes on the line from
    the one's posterior mean to the other's, both ends included. DU-VAE, Table S4."""
    fixed = torch.Generator().manual_seed(codes.PAIRS_SEED)
    ends = [data.test.take(i).x for i in codes.pairs(len(data.test), pairs, fixed)]
    start, end = (model.infer(x).mean.unsqueeze(1) for x in ends)
    z = torch.lerp(start, end, torch.linspace(0, 1, steps, device=start.device).unsqueeze(1))
    texts = decoded(model, data, z.flatten(0, 1), "greedy", 0)
    sources, targets = (_texts(data, x) for x in ends)
    found: dict[str, Value] = {}
    for pair in range(pairs):
        found[f"source_{pair + 1}"] = sources[pair]
        found[f"target_{pair + 1}"] = targets[pair]
        for step in range(steps):
            found[f"sentence_{pair + 1}_{step + 1}"] = texts[pair * steps + step]
    return found


def decoded(model: LatentModel, data: Dataset, z: Tensor, how: str, width: int) -> list[str]:
    """A sentence a code [N, K]."""
    decoder = model.decoder
    if not isinstance(decoder, WordDecoder):
        raise UserError(f"{data.info.name}: this model decodes no sentences")
    if how not in DECODINGS:
        raise UserError(f"decode is {how!r}; expected one of {', '.join(DECODINGS)}")
    if (how == "beam") != (width > 0):
        raise UserError(f"width is {width} for decode {how!r}; only a beam has one")
    match how:
        case "greedy":
            found = decoding.greedy(decoder, z, _LONGEST)
        case "beam":
            found = decoding.beam(decoder, z, _LONGEST, width)
        case _:
            found = decoding.sampled(decoder, z, _LONGEST)
    return _texts(data, found)


def _texts(data: Dataset, ids: Tensor) -> list[str]:
    if data.tokenizer is None:
        raise UserError(f"{data.info.name} has no sentences")
    return [data.tokenizer.decode(row) for row in ids.tolist()]
