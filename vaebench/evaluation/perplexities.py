"""What a language model says of sentences: forward and reverse perplexity, IGP, Table 4.

Perplexities are means over sentences of exp(-log p(x) / n) with n its words and </s>, as in the
official code; `corpus` is exp of the mean over all words, which is smaller.
"""

import torch
from torch import Tensor, nn

from vaebench.data.dataset import Dataset, TextSplit
from vaebench.data.rewritten import said
from vaebench.data.tokenizers import UNK
from vaebench.errors import UserError
from vaebench.estimators import text_metrics
from vaebench.evaluation import Value, evaluator
from vaebench.models import decoding
from vaebench.models.decoding import WordDecoder
from vaebench.models.keras_lstm import LanguageModel
from vaebench.models.latent import LatentModel

_SENTENCES = 200  # scored at a time
_CODES = 1_000  # decoded at a time


@evaluator
@torch.no_grad()
def perplexity(model: nn.Module, data: Dataset) -> dict[str, Value]:
    """`perplexity` and `corpus` of the test sentences under a language model: the reverse
    perplexity of what it has learnt from."""
    if not isinstance(model, LanguageModel) or not isinstance(data.test, TextSplit):
        raise UserError("perplexity is for language models and text")
    return _scores(model, data.test)


@evaluator
@torch.no_grad()
def generated_perplexity(
    model: nn.Module, data: Dataset, *, count: int, language_model: nn.Module
) -> dict[str, Value]:
    """The same of `count` sentences decoded greedily from codes of the prior, under a model of the
    real text: forward perplexity. A language model generates nothing and has none."""
    if not isinstance(model, LatentModel):
        return {"perplexity": None, "corpus": None}
    if not isinstance(language_model, LanguageModel):
        raise UserError("generated_perplexity: language_model must be one")
    longest = longest_without_unknown(data.test)
    return _scores(language_model, generated(model, count, longest, data.test.labels.device))


def generated(model: LatentModel, count: int, longest: int, device: torch.device) -> TextSplit:
    """So many sentences, of at most `longest` words and </s>, decoded greedily from the prior."""
    decoder = model.decoder
    if not isinstance(decoder, WordDecoder):
        raise UserError("this model decodes no sentences")
    parts = []
    for z in torch.split(model.prior.sample(count, device), _CODES):
        found = decoding.greedy(decoder, z, longest)
        labels = torch.zeros(len(z), dtype=torch.int64, device=device)
        parts.append(said(found, decoding.word_counts(found), labels))
    return TextSplit(
        torch.cat([part.tokens for part in parts]),
        torch.cat([part.lengths for part in parts]),
        torch.cat([part.labels for part in parts]),
    )


def longest_without_unknown(split: object) -> int:
    """How many words and </s> the longest sentence has that holds no <unk>."""
    if not isinstance(split, TextSplit):
        raise UserError("only text has a longest sentence")
    unknown = split.tokens.cpu() == UNK
    owners = torch.arange(len(split)).repeat_interleave(split.lengths)
    known = torch.bincount(owners[unknown], minlength=len(split)) == 0
    return int((split.lengths[known] if bool(known.any()) else split.lengths).max()) - 1


def _scores(model: LanguageModel, split: TextSplit) -> dict[str, Value]:
    found: list[Tensor] = []
    terms: list[Tensor] = []
    for index in split.buckets(_SENTENCES):
        x = split.take(index).x
        found.append(model.log_prob(x).double())
        terms.append(model.terms(x))
    scores, counts = torch.cat(found), torch.cat(terms)
    return {
        "perplexity": text_metrics.mean_perplexity(scores, counts),
        "corpus": text_metrics.corpus_perplexity(scores, counts),
    }
