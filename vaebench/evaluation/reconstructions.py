"""How near sentences come back that were encoded and decoded: IGP, Tables 2, 7, 9 and 10."""

import torch
from torch.nn.functional import pad

from vaebench.data.dataset import Dataset, TextSplit
from vaebench.data.tokenizers import PAD
from vaebench.errors import UserError
from vaebench.estimators import text_metrics
from vaebench.estimators.text_metrics import Sentences
from vaebench.evaluation import Value, evaluator
from vaebench.evaluation.encoding import posterior_means
from vaebench.models import decoding
from vaebench.models.decoding import WordDecoder
from vaebench.models.latent import LatentModel

_CODES = 1_000  # decoded at a time


@evaluator
@torch.no_grad()
def reconstructed_sentences(model: LatentModel, data: Dataset) -> dict[str, Value]:
    """`bleu_2`, `bleu_4`, `rouge_2` and `rouge_4` in percent, of test sentences decoded greedily
    from their posterior means, against the sentences themselves.

    BLEU is that of the corpus, unsmoothed; ROUGE that of sets of n-grams. `<unk>` is a word.
    """
    found = text_metrics.overlap(reconstructed(model, data), originals(data), 4)
    return {
        "bleu_2": text_metrics.bleu(found, 2),
        "bleu_4": text_metrics.bleu(found, 4),
        "rouge_2": text_metrics.rouge(found, 2),
        "rouge_4": text_metrics.rouge(found, 4),
    }


def reconstructed(model: LatentModel, data: Dataset) -> Sentences:
    """Greedy decodings of the posterior means of all test sentences, in their order.

    No more words, </s> among them, than the longest of these has.
    """
    decoder, test = model.decoder, data.test
    if not isinstance(decoder, WordDecoder) or not isinstance(test, TextSplit):
        raise UserError(f"{data.info.name}: this model decodes no sentences")
    longest = int(test.lengths.max()) - 1
    parts = torch.split(posterior_means(model, test).float(), _CODES)
    said = [decoding.greedy(decoder, z, longest) for z in parts]
    widest = max(part.shape[1] for part in said)
    found = torch.cat([pad(part, (0, widest - part.shape[1]), value=PAD) for part in said])
    return Sentences(found, decoding.word_counts(found))


def originals(data: Dataset) -> Sentences:
    """The test sentences."""
    x = data.test.take(torch.arange(len(data.test))).x[:, 1:]
    return Sentences(x, decoding.word_counts(x))
