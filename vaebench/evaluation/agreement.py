"""What a classifier of sentences says of those that come back: IGP, Tables 3 and 11."""

import torch
from torch import Tensor, nn

from vaebench.data.dataset import Dataset, TextSplit
from vaebench.data.rewritten import said
from vaebench.errors import UserError
from vaebench.evaluation import Value, evaluator
from vaebench.evaluation.reconstructions import reconstructed
from vaebench.models.latent import LatentModel

_SENTENCES = 200  # at a time


@evaluator
@torch.no_grad()
def reconstructed_labels(
    model: nn.Module, data: Dataset, *, classifier: nn.Module
) -> dict[str, Value]:
    """`f1`, the macro-averaged F1 score in percent of a classifier on reconstructed test sentences,
    and its share of that on the sentences themselves, `agreement`, in percent.

    A classifier in place of an autoencoder has its own F1 score, on the sentences themselves. There
    is no share of nothing.
    """
    test = data.test
    if not isinstance(test, TextSplit) or data.info.classes < 2:
        raise UserError(f"reconstructed_labels: {data.info.name} has no sentences with classes")
    if not isinstance(model, LatentModel):
        return {"f1": _macro_f1(model, test), "agreement": None}
    original = _macro_f1(classifier, test)
    found = reconstructed(model, data)
    score = _macro_f1(classifier, said(found.words, found.lengths, test.labels))
    return {"f1": score, "agreement": 100 * score / original if original else None}


def _macro_f1(classifier: nn.Module, split: TextSplit) -> float:
    from sklearn.metrics import f1_score

    answers = torch.empty(len(split), dtype=torch.int64)
    for index in split.buckets(_SENTENCES):
        logits: Tensor = classifier(split.take(index).x)
        answers[index] = logits.argmax(1).cpu()
    return 100 * float(f1_score(split.labels.cpu(), answers, average="macro"))
