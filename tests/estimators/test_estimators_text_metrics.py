"""BLEU, ROUGE and perplexity against counts of tuples in plain Python, and against packages."""

import math
import warnings
from collections import Counter
from statistics import fmean

import pytest
import sacrebleu
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from nltk.translate.bleu_score import corpus_bleu
from rouge_score.rouge_scorer import RougeScorer

from vaebench.estimators.text_metrics import (
    Sentences,
    bleu,
    corpus_perplexity,
    mean_perplexity,
    overlap,
    rouge,
)

law = settings(deadline=None, max_examples=60)
# Few words, so that there are n-grams that match and n-grams that are repeated.
sentence = st.lists(st.integers(3, 6), max_size=9)
corpora = st.lists(st.tuples(sentence, sentence), min_size=1, max_size=8)


def padded(sentences, beyond=1):
    """With anything behind the words that count."""
    longest = max(map(len, sentences)) + beyond
    rows = [words + [9 - i % 7 for i in range(longest - len(words))] for words in sentences]
    return Sentences(torch.tensor(rows), torch.tensor([len(words) for words in sentences]))


def compared(pairs, most=4):
    candidates, references = zip(*pairs, strict=True)
    return overlap(padded(candidates), padded(references, beyond=3), most)


def tuples(words, n):
    return [tuple(words[i : i + n]) for i in range(len(words) - n + 1)]


def plain_rouge(candidate, reference, n):
    said, wanted = set(tuples(candidate, n)), set(tuples(reference, n))
    precision = len(said & wanted) / len(said) if said else 0
    recall = len(said & wanted) / len(wanted) if wanted else 0
    return 2 * precision * recall / (precision + recall + 1e-8)


def plain_bleu(pairs, most):
    logarithms = 0.0
    for n in range(1, most + 1):
        right = said = 0
        for candidate, reference in pairs:
            counts = Counter(tuples(candidate, n))
            right += (counts & Counter(tuples(reference, n))).total()
            said += max(1, counts.total())
        if right == 0:
            return 0.0
        logarithms += math.log(right / said) / most
    length, wanted = (sum(map(len, part)) for part in zip(*pairs, strict=True))
    return 100 * math.exp(logarithms + min(0.0, 1 - wanted / length))


def nltks(pairs, most):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there is no match
        references = [[reference] for _, reference in pairs]
        weights = tuple([1 / most] * most)
        return 100 * corpus_bleu(references, [said for said, _ in pairs], weights)


@law
@given(corpora)
def test_bleu_is_that_of_plain_counts_and_of_nltk(pairs):
    found = compared(pairs)
    for most in (1, 2, 3, 4):
        assert bleu(found, most) == plain_bleu(pairs, most)
        # Where nothing matches, NLTK takes the least positive number for zero.
        assert bleu(found, most) == pytest.approx(nltks(pairs, most), rel=1e-12, abs=1e-70)


@law
@given(corpora)
def test_rouge_is_that_of_sets_of_tuples(pairs):
    found = compared(pairs)
    for n in (1, 2, 3, 4):
        expected = 100 * fmean(plain_rouge(*pair, n) for pair in pairs)
        assert rouge(found, n) == pytest.approx(expected, rel=1e-13)


@law
@given(corpora, st.randoms(use_true_random=False))
def test_the_order_of_sentences_does_not_matter(pairs, random):
    shuffled = random.sample(pairs, len(pairs))
    one, other = compared(pairs), compared(shuffled)
    for n in (2, 4):
        assert bleu(one, n) == bleu(other, n)
        assert rouge(one, n) == pytest.approx(rouge(other, n), rel=1e-13)


def test_sentences_of_their_own_words_are_perfect_but_for_short_ones():
    """An identical sentence of three words has no 4-gram: IGP's ROUGE-4 of it is zero, and NLTK
    has it for one that is wrong."""
    long, short = ([3, 4, 5, 6, 7],) * 2, ([3, 4, 5],) * 2
    found = compared([long])
    assert bleu(found, 4) == bleu(found, 2) == 100
    assert rouge(found, 4) == rouge(found, 2) == pytest.approx(100, rel=1e-8)
    found = compared([long, short])
    assert rouge(found, 2) == pytest.approx(100, rel=1e-8)
    assert rouge(found, 4) == pytest.approx(50, rel=1e-8)
    assert bleu(found, 4) == pytest.approx(100 * (2 / 3) ** 0.25)
    assert rouge(compared([short]), 4) == 0


def test_nothing_said_and_nothing_matched_are_zero():
    for pairs in ([([], [3, 4])], [([3, 4], [])], [([], [])], [([3, 4, 5], [6, 7, 8])]):
        found = compared(pairs)
        assert bleu(found, 2) == bleu(found, 4) == rouge(found, 2) == 0


def test_a_short_candidate_is_punished_once_and_for_the_corpus():
    pairs = [([3, 4], [3, 4, 5, 6]), ([3, 4, 5, 6, 7, 8], [3, 4, 5, 6, 7, 8])]
    assert bleu(compared(pairs), 2) == pytest.approx(100 * math.exp(1 - 10 / 8))
    swapped = [(reference, candidate) for candidate, reference in pairs]
    assert bleu(compared(swapped), 1) == pytest.approx(100 * 8 / 10)


# The dialects of two packages.

DISTINCT = [([3, 4, 5, 6, 7, 8], [9, 4, 5, 6, 8, 7]), ([3, 4, 5, 6], [3, 4, 5, 7, 8])]
REPEATED = [([3, 4], [3, 4, 3, 4, 3, 4]), ([5, 6, 7], [5, 6, 7])]


class Words:
    def tokenize(self, text):
        return text.split()


def text(words):
    return " ".join(f"w{word}" for word in words)


def rouge_scores(pairs, n):
    scorer = RougeScorer([f"rouge{n}"], tokenizer=Words())
    scores = [scorer.score(text(wanted), text(said))[f"rouge{n}"] for said, wanted in pairs]
    return 100 * fmean(score.fmeasure for score in scores)


@pytest.mark.parametrize("n", [2, 4])
def test_without_repetitions_rouge_is_that_of_rouge_score(n):
    assert rouge(compared(DISTINCT), n) == pytest.approx(rouge_scores(DISTINCT, n), rel=1e-7)


def test_a_repetition_is_what_rouge_score_counts_and_igp_does_not():
    """a b for a b a b a b: one of two pairs is there, so 2/3; or one of five, so 1/3."""
    assert rouge(compared(REPEATED), 2) == pytest.approx(100 * (2 / 3 + 1) / 2, rel=1e-7)
    assert rouge_scores(REPEATED, 2) == pytest.approx(100 * (1 / 3 + 1) / 2)


@law
@given(corpora)
def test_how_far_rouge_score_is_off_is_the_difference_of_sets_and_multisets(pairs):
    difference = []
    for candidate, reference in pairs:
        said, wanted = (Counter(tuples(words, 2)) for words in (candidate, reference))
        counted = 2 * (said & wanted).total() / max(1, said.total() + wanted.total())
        difference.append(counted - plain_rouge(candidate, reference, 2))
    expected = 100 * fmean(difference)
    assert rouge_scores(pairs, 2) - rouge(compared(pairs), 2) == pytest.approx(expected, abs=1e-9)


def sacrebleus(pairs, most):
    said, wanted = (list(map(text, part)) for part in zip(*pairs, strict=True))
    metric = sacrebleu.BLEU(tokenize="none", smooth_method="none", max_ngram_order=most)
    return metric.corpus_score(said, [wanted]).score


def test_where_all_are_long_enough_bleu_is_that_of_sacrebleu():
    for most in (2, 3):
        assert bleu(compared(DISTINCT), most) == pytest.approx(sacrebleus(DISTINCT, most))
    short = [([3, 4, 5, 6], [3, 4, 5, 6]), ([7], [7])]
    # A pair that is not there is none of three for sacrebleu, and one of four for NLTK.
    assert sacrebleus(short, 2) == pytest.approx(100)
    assert bleu(compared(short), 2) == pytest.approx(100 * (3 / 4) ** 0.5)


# Perplexity.

likelihoods = st.lists(
    st.tuples(st.floats(-200, -0.01), st.integers(1, 40)), min_size=1, max_size=20
)


@law
@given(likelihoods)
def test_perplexity_is_a_mean_of_exponentials_or_one_of_the_corpus(drawn):
    values, terms = (torch.tensor(part, dtype=torch.float64) for part in zip(*drawn, strict=True))
    counts = terms.long()
    mean = mean_perplexity(values, counts)
    assert mean == pytest.approx(fmean(math.exp(-value / n) for value, n in drawn), rel=1e-12)
    # Jensen: not below the exponential of the mean.
    assert mean >= math.exp(fmean(-value / n for value, n in drawn)) * (1 - 1e-12)
    corpus = corpus_perplexity(values, counts)
    assert corpus == pytest.approx(math.exp(-sum(values.tolist()) / sum(counts.tolist())))


def test_one_unlikely_sentence_rules_the_mean():
    values, terms = torch.tensor([-20.0, -20.0, -20.0, -80.0]), torch.tensor([10, 10, 10, 10])
    assert mean_perplexity(values, terms) == pytest.approx((3 * math.e**2 + math.e**8) / 4)
    assert corpus_perplexity(values, terms) == pytest.approx(math.exp(3.5))


def test_a_uniform_model_has_as_many_choices_as_words():
    terms = torch.tensor([1, 5, 12])
    values = -terms * math.log(50)
    assert mean_perplexity(values, terms) == pytest.approx(50, rel=1e-6)
    assert corpus_perplexity(values, terms) == pytest.approx(50, rel=1e-6)
