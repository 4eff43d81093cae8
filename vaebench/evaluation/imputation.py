"""Sentences of which a model sees the beginning alone: IGP, Table 5."""

import torch
from torch import Tensor, nn

from vaebench.data.dataset import Dataset, TextSplit
from vaebench.data.draws import permutation
from vaebench.data.tokenizers import BOS, EOS, PAD, UNK
from vaebench.errors import UserError
from vaebench.evaluation import Value, evaluator
from vaebench.models import decoding
from vaebench.models.decoding import WordDecoder
from vaebench.models.latent import LatentModel

_SEED = 0  # one for all models, so that all complete the same sentences
SHOWN = ("original", "beginning", "completed")


@evaluator
@torch.no_grad()
def completed_sentence(
    model: nn.Module, data: Dataset, *, example: int, share: float, show: str
) -> dict[str, Value]:
    """`sentence`: a test sentence without `<unk>`, the `example`-th of a fixed draw; or its first
    words, a `share` of them; or what a model makes of these, as `show` says.

    As the official script does it: it is given them without </s>, so that its code is the bias of
    the mean, and its decoder goes on after them. `encoded` is what the paper describes: they are
    encoded with </s>, and the decoder begins anew. Both are greedy.
    """
    if show not in SHOWN:
        raise UserError(f"show is {show!r}; expected one of {', '.join(SHOWN)}")
    if data.tokenizer is None or not isinstance(data.test, TextSplit):
        raise UserError(f"{data.info.name} has no sentences")
    words = _known_sentence(data.test, example, share)
    beginning = words[: int(share * len(words))]
    if show != "completed":
        shown = words if show == "original" else beginning
        return {"sentence": data.tokenizer.decode(shown.tolist()), "encoded": None}
    if not isinstance(model, LatentModel) or not isinstance(model.decoder, WordDecoder):
        raise UserError("only a model of sentences completes them")
    ends = [torch.tensor([end], device=words.device) for end in (BOS, EOS)]
    start, whole = torch.cat([ends[0], beginning]), torch.cat([ends[0], beginning, ends[1]])
    longest = int(data.test.lengths.max()) - 1
    primed = _continued(model.decoder, model.infer(start[None]).mean, start, longest)
    encoded = decoding.greedy(model.decoder, model.infer(whole[None]).mean, longest)[0]
    return {
        "sentence": data.tokenizer.decode([*beginning.tolist(), *primed]),
        "encoded": data.tokenizer.decode(encoded.tolist()),
    }


def _known_sentence(split: TextSplit, example: int, share: float) -> Tensor:
    """The words of the `example`-th sentence, from 1, that holds no <unk> and of whose words the
    share is one or more, in a seeded order."""
    found = 0
    for place in permutation(len(split), _SEED).tolist():
        words = split.take(torch.tensor([place])).x[0, 1:-1]
        found += share * len(words) >= 1 and bool((words != UNK).all())
        if found == example:
            return words
    raise UserError(f"example is {example}; {found} test sentences are long enough without <unk>")


def _continued(decoder: WordDecoder, z: Tensor, start: Tensor, longest: int) -> list[int]:
    """The likeliest words one by one after those of `start`, up to `longest` in all."""
    state, logits = decoder.start(z), torch.empty(0)
    for word in start:
        logits, state = decoder.advance(word[None], state)
    said: list[int] = []
    while len(start) + len(said) <= longest:
        logits[:, [PAD, BOS]] = -torch.inf
        word = logits.argmax(1)
        if int(word) == EOS:
            break
        said.append(int(word))
        logits, state = decoder.advance(word, state)
    return said
