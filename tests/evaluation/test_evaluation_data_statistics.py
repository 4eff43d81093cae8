"""What a data set counts."""

import numpy as np
import pytest
from fixtures import dataset

from vaebench.data.corpora import Corpus
from vaebench.data.dataset import DataInfo, Dataset
from vaebench.data.tokens import tokenized
from vaebench.evaluation.data_statistics import data_statistics
from vaebench.models.latent import DataThemselves
from vaebench.registry.runs import TokenizerSettings

MODEL = DataThemselves()


def test_images_are_counted():
    assert data_statistics(MODEL, dataset()) == {
        "train": 45,
        "validation": 19,
        "test": 23,
        "classes": 3,
        "vocabulary": None,
        "length": None,
        "unknown": None,
    }


def test_sentences_are_counted():
    corpora = {
        "train": Corpus(["a b c a", "a b", "d"], np.zeros(3, np.int64)),
        "test": Corpus(["a d", "a b e b"], np.zeros(2, np.int64)),
    }
    splits, tokenizer = tokenized(corpora, TokenizerSettings(kind="words", size=8), (), None)
    info = DataInfo("few", "derived", (), 0, 3, 2, vocabulary=tokenizer.size)
    data = Dataset(splits["train"], splits["test"], info, "0" * 64)
    assert data_statistics(MODEL, data) == {
        "train": 3,
        "validation": None,
        "test": 2,
        "classes": None,
        "vocabulary": 5,  # a, b, c, d and <unk>
        "length": pytest.approx((5 + 3 + 2) / 3),
        "unknown": pytest.approx(100 / 6),  # e
    }
