"""Sentences that come back, against texts and packages."""

from dataclasses import replace
from statistics import fmean

import pytest
import torch
from fixtures import dataset, sentences, text_dataset, tiny_model
from nltk.translate.bleu_score import corpus_bleu
from parrots import mumbled, never_ends, parrot

from vaebench.data.tokenizers import EOS, SPECIALS
from vaebench.errors import UserError
from vaebench.evaluation.reconstructions import (
    originals,
    reconstructed,
    reconstructed_sentences,
)

DATA = text_dataset(test=60)
VOCABULARY = DATA.info.vocabulary


def texts(found):
    """The words of each sentence, as a text."""
    rows = zip(found.words.tolist(), found.lengths.tolist(), strict=True)
    return [" ".join(DATA.tokenizer.words[i] for i in row[:length]) for row, length in rows]


def spoken(data):
    """The test sentences one by one."""
    rows = [data.test.take(torch.tensor([i])).x[0, 1:-1].tolist() for i in range(len(data.test))]
    return [" ".join(DATA.tokenizer.words[i] for i in row) for row in rows]


def grams(text, n):
    words = text.split(" ") if text else []
    return {tuple(words[i : i + n]) for i in range(len(words) - n + 1)}


def plain_rouge(said, wanted, n):
    candidate, reference = grams(said, n), grams(wanted, n)
    precision = len(candidate & reference) / len(candidate) if candidate else 0
    recall = len(candidate & reference) / len(reference) if reference else 0
    return 2 * precision * recall / (precision + recall + 1e-8)


def test_what_comes_back_whole_has_all_that_can_be_had():
    """ROUGE-4 leaves out the sentences that are too short for it, which have none."""
    assert texts(reconstructed(parrot(VOCABULARY), DATA)) == spoken(DATA)
    counts = torch.tensor([len(text.split()) for text in spoken(DATA)])
    assert 0 < (counts < 2).sum() < (counts < 4).sum() < len(counts)
    found = reconstructed_sentences(parrot(VOCABULARY), DATA)
    for n in (2, 4):
        share = float((counts >= n).double().mean())
        assert found[f"rouge_{n}"] == pytest.approx(100 * share, rel=1e-7)
    long = replace(DATA, test=DATA.test.some(torch.nonzero(counts >= 4)[:, 0]))
    found = reconstructed_sentences(parrot(VOCABULARY), long)
    assert found["bleu_2"] == found["bleu_4"] == 100
    assert found["rouge_2"] == found["rouge_4"] == pytest.approx(100, rel=1e-7)


def test_it_is_what_nltk_and_plain_sets_say_of_the_texts():
    model = parrot(VOCABULARY, mumbled)
    said, wanted = texts(reconstructed(model, DATA)), spoken(DATA)
    assert texts(originals(DATA)) == wanted
    assert 10 < sum(a != b for a, b in zip(said, wanted, strict=True)) < 55
    assert {len(b.split()) - len(a.split()) for a, b in zip(said, wanted, strict=True)} == {0, 1}
    found = reconstructed_sentences(model, DATA)
    references = [[text.split()] for text in wanted]
    candidates = [text.split() for text in said]
    for n in (2, 4):
        expected = 100 * corpus_bleu(references, candidates, (1 / n,) * n)
        assert 10 < expected < 95
        assert found[f"bleu_{n}"] == pytest.approx(expected, rel=1e-12)
        scores = [plain_rouge(a, b, n) for a, b in zip(said, wanted, strict=True)]
        assert found[f"rouge_{n}"] == pytest.approx(100 * fmean(scores), rel=1e-12)


def test_nothing_gets_longer_than_the_longest_test_sentence_and_its_end():
    """However long those of the training split are."""
    counts = DATA.test.lengths - 2
    short = replace(DATA, test=DATA.test.some(torch.nonzero(counts <= 3)[:, 0]))
    assert int(short.train.lengths.max()) - 2 == 6
    found = reconstructed(parrot(VOCABULARY, never_ends), short)
    assert found.words.tolist() == [[4] * 4] * len(short.test)
    assert found.lengths.tolist() == [4] * len(short.test)


def test_an_unknown_word_is_a_word():
    unknown = SPECIALS.index("<unk>")
    tokens = DATA.test.tokens.clone()
    tokens[tokens > EOS] = unknown
    found = reconstructed_sentences(
        parrot(VOCABULARY), replace(DATA, test=replace(DATA.test, tokens=tokens))
    )
    counts = DATA.test.lengths - 2
    assert found["rouge_2"] == pytest.approx(100 * float((counts >= 2).double().mean()), rel=1e-7)


def test_the_sentences_keep_their_order_and_their_number(monkeypatch):
    """Whatever their lengths, and however many are decoded at once."""
    data = replace(DATA, test=sentences(23, seed=5))
    monkeypatch.setattr("vaebench.evaluation.reconstructions._CODES", 4)
    assert texts(reconstructed(parrot(VOCABULARY), data)) == spoken(data)


def test_models_and_data_of_images_are_refused():
    with pytest.raises(UserError, match="synthetic: this model decodes no sentences"):
        reconstructed_sentences(tiny_model(shape=(1, 4, 4)).eval(), dataset())
