"""Perplexities under language models whose probabilities are known."""

import math
from dataclasses import replace
from statistics import fmean

import pytest
import torch
from chains import Chain
from fixtures import METHOD_CASES, build, dataset, random_language_model, text_dataset
from torch import nn

from vaebench.data.dataset import TextSplit
from vaebench.data.tokenizers import BOS, EOS, PAD, UNK
from vaebench.errors import UserError
from vaebench.evaluation.perplexities import (
    generated_perplexity,
    longest_without_unknown,
    perplexity,
)
from vaebench.models.keras_lstm import LanguageModel
from vaebench.models.latent import LatentModel
from vaebench.models.priors import StandardGaussian

DATA = text_dataset(test=50)
V, LATENT = DATA.info.vocabulary, 2


def unigrams(log_probabilities):
    """A language model in which words do not depend on each other."""
    model = LanguageModel(V, 3, 4, DATA.info.longest).eval().requires_grad_(False)
    model.decoder.output.weight.zero_()
    model.decoder.output.bias.copy_(log_probabilities)
    return model


def uneven():
    logits = 2 * torch.randn(V, generator=torch.Generator().manual_seed(2))
    return torch.log_softmax(logits, 0)


def plain(rows, scores):
    """Of lists of words without <s> and </s>."""
    told = [[float(scores[word]) for word in [*row, EOS]] for row in rows]
    mean = fmean(math.exp(-sum(row) / len(row)) for row in told)
    return mean, math.exp(-sum(map(sum, told)) / sum(map(len, told)))


def split_of(*rows):
    whole = [[BOS, *row, EOS] for row in rows]
    tokens = torch.tensor([word for row in whole for word in row], dtype=torch.int32)
    lengths = torch.tensor([len(row) for row in whole])
    return TextSplit(tokens, lengths, torch.zeros(len(rows), dtype=torch.int64))


def words_of(split):
    return [split.take(torch.tensor([i])).x[0, 1:-1].tolist() for i in range(len(split))]


def generator(end, seed=0):
    """A model whose sentences depend on the code; `end` is added to the logit of </s>."""
    chain = Chain.random(V, LATENT, seed)
    with torch.no_grad():
        chain.follow[:, EOS] += end
    nothing = nn.Identity()
    model = LatentModel(nothing, nothing, StandardGaussian(LATENT), chain)
    return model.eval().requires_grad_(False)


def spoken(model, codes, most):
    """What a chain says word by word, by hand."""
    rows = []
    for code in codes:
        row, last = [], BOS
        while len(row) < most:
            logits = model.decoder.follow[last] + code @ model.decoder.shift
            last = int(logits.argmax())
            if last == EOS:
                break
            row.append(last)
        rows.append(row)
    return rows


def test_a_model_that_knows_nothing_has_the_vocabulary_for_its_perplexity():
    found = perplexity(unigrams(torch.zeros(V)), DATA)
    assert found == {"perplexity": pytest.approx(V), "corpus": pytest.approx(V)}


def test_it_is_the_mean_of_exponentials_over_sentences():
    scores = uneven()
    mean, corpus = plain(words_of(DATA.test), scores)
    assert mean > 1.05 * corpus
    found = perplexity(unigrams(scores), DATA)
    assert found == {
        "perplexity": pytest.approx(mean, rel=1e-5),
        "corpus": pytest.approx(corpus, rel=1e-5),
    }


def test_words_that_depend_on_those_before_are_scored_a_sentence_at_a_time(monkeypatch):
    monkeypatch.setattr("vaebench.evaluation.perplexities._SENTENCES", 3)
    model = random_language_model()
    for values in model.parameters():
        values.normal_(generator=torch.Generator().manual_seed(3))
    values = []
    for i in range(len(DATA.test)):
        x = DATA.test.take(torch.tensor([i])).x
        values.append(math.exp(-float(model.log_prob(x)) / (x.shape[1] - 1)))
    assert max(values) > 1.5 * min(values)
    assert perplexity(model, DATA)["perplexity"] == pytest.approx(fmean(values), rel=1e-5)


@pytest.mark.parametrize("end", [1.0, 2.0])
def test_generated_sentences_are_greedy_ones_of_the_prior(end, monkeypatch):
    """As many words at most as the longest test sentence has, its end among them."""
    monkeypatch.setattr("vaebench.evaluation.perplexities._CODES", 16)
    model, scores = generator(end), uneven()
    judge = unigrams(scores)
    torch.manual_seed(6)
    found = generated_perplexity(model, DATA, count=40, language_model=judge)
    torch.manual_seed(6)
    rows = spoken(model, torch.randn(40, LATENT), 7)
    assert len({tuple(row) for row in rows}) > 3 and len({len(row) for row in rows}) > 1
    mean, corpus = plain(rows, scores)
    assert found == {
        "perplexity": pytest.approx(mean, rel=1e-5),
        "corpus": pytest.approx(corpus, rel=1e-5),
    }


def test_an_empty_sentence_is_one_term():
    model, scores = generator(math.inf), uneven()
    found = generated_perplexity(model, DATA, count=10, language_model=unigrams(scores))
    assert found["perplexity"] == pytest.approx(math.exp(-float(scores[EOS])), rel=1e-5)


def test_a_sentence_that_does_not_end_is_cut_where_the_longest_known_one_ends():
    """<unk> is said by no word of the longest sentence without it; here that has three words."""
    model, scores = generator(-math.inf), uneven()
    test = split_of([5, 6, 4], [7, UNK, 8, 9, 10, 4], [9])
    assert longest_without_unknown(test) == 4
    data, judge = replace(DATA, test=test), unigrams(scores)
    torch.manual_seed(1)
    found = generated_perplexity(model, data, count=30, language_model=judge)
    torch.manual_seed(1)
    rows = spoken(model, torch.randn(30, LATENT), 4)
    assert {len(row) for row in rows} == {4}
    assert found["perplexity"] == pytest.approx(plain(rows, scores)[0], rel=1e-5)


def test_where_every_sentence_has_an_unknown_word_the_longest_counts():
    assert longest_without_unknown(split_of([UNK, 5, 6, 4, 4], [UNK])) == 6
    assert longest_without_unknown(split_of([], [UNK, 4])) == 1
    with pytest.raises(UserError, match="only text"):
        longest_without_unknown(dataset().test)


def test_padding_and_starts_are_never_said():
    model = generator(0.0)
    with torch.no_grad():
        model.decoder.follow[:, [PAD, BOS]] = 100.0
    judge = unigrams(uneven())
    torch.manual_seed(0)
    found = generated_perplexity(model, DATA, count=20, language_model=judge)
    with torch.no_grad():
        model.decoder.follow[:, [PAD, BOS]] = -torch.inf
    torch.manual_seed(0)
    again = generated_perplexity(model, DATA, count=20, language_model=judge)
    assert found == again


def test_a_model_without_codes_generates_nothing():
    nothing = {"perplexity": None, "corpus": None}
    model = random_language_model()
    assert generated_perplexity(model, DATA, count=5, language_model=model) == nothing


def test_other_models_and_other_data_are_refused():
    text, images = (
        next(case for case in METHOD_CASES if case.name == name)
        for name in ("igp_text.vae", "igp.vae")
    )
    vae = build(text, DATA).model.eval()
    with pytest.raises(UserError, match="perplexity is for language models and text"):
        perplexity(vae, DATA)
    with pytest.raises(UserError, match="perplexity is for language models and text"):
        perplexity(random_language_model(), dataset())
    with pytest.raises(UserError, match="language_model must be one"):
        generated_perplexity(vae, DATA, count=5, language_model=vae)
    of_images = build(images, dataset()).model.eval()
    with pytest.raises(UserError, match="decodes no sentences"):
        generated_perplexity(of_images, DATA, count=5, language_model=random_language_model())
