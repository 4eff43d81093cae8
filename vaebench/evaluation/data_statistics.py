"""What a data set counts: IGP, Table 1."""

from torch import nn

from vaebench.data.dataset import Dataset, TextSplit
from vaebench.data.tokenizers import EOS, UNK
from vaebench.evaluation import Value, evaluator


@evaluator
def data_statistics(model: nn.Module, data: Dataset) -> dict[str, Value]:
    """Examples by split, and `classes`. Of text also `vocabulary`: its words and `<unk>`, but no
    `<pad>`, `<s>` and `</s>`; `length`: the mean number of words and `</s>` in a training sentence;
    `unknown`: the percentage of unknown words among those of the test split."""
    train, test = data.train, data.test
    found: dict[str, Value] = {
        "train": len(train),
        "validation": None if data.validation is None else len(data.validation),
        "test": len(test),
        "classes": data.info.classes or None,
        "vocabulary": None,
        "length": None,
        "unknown": None,
    }
    if isinstance(train, TextSplit) and isinstance(test, TextSplit):
        words = int((test.lengths - 2).sum())
        found["vocabulary"] = data.info.vocabulary - 1 - EOS
        found["length"] = float((train.lengths - 1).double().mean())
        found["unknown"] = 100 * int((test.tokens == UNK).sum()) / words
    return found
