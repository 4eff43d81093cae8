"""Labels of sentences that come back, against scikit-learn and against counts."""

from dataclasses import replace
from statistics import fmean

import pytest
import torch
from fixtures import CLASSES, dataset, random_judge, random_sentence_classifier, text_dataset
from parrots import mumbled, parrot
from sklearn.metrics import f1_score
from torch import nn

from vaebench.data.tokenizers import BOS, EOS, SPECIALS
from vaebench.errors import UserError
from vaebench.evaluation.agreement import reconstructed_labels

DATA = text_dataset(test=70)
VOCABULARY = DATA.info.vocabulary


class Kinds(nn.Module):
    """Knows every sentence by the kind of its words, of which some count more than others."""

    def forward(self, x):
        assert (x[:, 0] == BOS).all() and ((x == EOS).sum(1) == 1).all()
        kind = torch.nn.functional.one_hot((x - len(SPECIALS)) % CLASSES, CLASSES)
        return (kind * (x >= len(SPECIALS))[..., None]).float().sum(1)


def scrambled(ids):
    """Words of another kind, in some sentences."""
    longer = (ids != 0).sum(1, keepdim=True) > 4
    return torch.where((ids >= len(SPECIALS)) & longer, 4 + (ids - 3) % 9, ids)


def answers(classifier, data, says=lambda ids: ids):
    """One sentence at a time."""
    found = []
    for i in range(len(data.test)):
        x = data.test.take(torch.tensor([i])).x
        row = says(x[:, 1:])[0].tolist()
        row = row[: row.index(EOS) + 1]
        found.append(int(classifier(torch.tensor([[BOS, *row]])).argmax()))
    return found


def macro_f1(labels, said):
    """From counts of right and wrong answers."""
    scores = []
    pairs = list(zip(labels, said, strict=True))
    for kind in sorted({*labels, *said}):
        right = sum(a == b == kind for a, b in pairs)
        wrong = sum((a == kind) != (b == kind) for a, b in pairs)
        scores.append(2 * right / (2 * right + wrong))
    return 100 * fmean(scores)


def test_what_comes_back_whole_keeps_its_label():
    found = reconstructed_labels(parrot(VOCABULARY), DATA, classifier=Kinds())
    assert found == {"f1": pytest.approx(100), "agreement": pytest.approx(100)}


def unsure():
    """A classifier with large random weights."""
    classifier = random_sentence_classifier()
    for values in classifier.parameters():
        values.normal_(generator=torch.Generator().manual_seed(values.numel()))
    return classifier


@pytest.mark.parametrize(
    ("says", "classifier"),
    [(scrambled, Kinds()), (mumbled, unsure())],
    ids=["another kind", "an unsure classifier"],
)
def test_it_is_the_classifiers_score_and_its_share_of_that_on_the_sentences(says, classifier):
    labels = DATA.test.labels.tolist()
    told, kept = answers(classifier, DATA, says), answers(classifier, DATA)
    assert told != kept
    f1, original = macro_f1(labels, told), macro_f1(labels, kept)
    assert f1 == pytest.approx(100 * f1_score(labels, told, average="macro"))
    found = reconstructed_labels(parrot(VOCABULARY, says), DATA, classifier=classifier)
    assert found["f1"] == pytest.approx(f1, rel=1e-12) and 0 < f1 < 100
    assert found["agreement"] == pytest.approx(100 * f1 / original, rel=1e-12)


def test_a_classifier_has_its_own_score_on_the_sentences_and_no_agreement():
    labels = DATA.test.labels.tolist()
    own, other = unsure(), Kinds()
    found = reconstructed_labels(own, DATA, classifier=other)
    expected = macro_f1(labels, answers(own, DATA))
    assert found == {"f1": pytest.approx(expected, rel=1e-12), "agreement": None}
    assert reconstructed_labels(own, DATA, classifier=own) == found
    assert reconstructed_labels(other, DATA, classifier=own)["f1"] == pytest.approx(100)


def test_a_score_of_every_class_counts_alike_however_rare_it_is():
    """100 sentences of one class and one of another: who always says the first has less than half
    of what can be had."""
    place = int(torch.nonzero(DATA.test.labels == 1)[0])
    zeros = torch.nonzero(DATA.test.labels == 0)[:, 0].repeat(5)[:100]
    data = replace(DATA, test=DATA.test.some(torch.cat([zeros, torch.tensor([place])])))
    always = parrot(VOCABULARY, lambda ids: torch.where(ids > 4, 4 + 3 * (ids % 3), ids))
    found = reconstructed_labels(always, data, classifier=Kinds())
    assert found["f1"] == pytest.approx(100 * (200 / 201) / 2)


def test_what_has_no_classes_is_refused():
    unlabelled = replace(DATA, info=replace(DATA.info, classes=0))
    with pytest.raises(UserError, match="sentences has no sentences with classes"):
        reconstructed_labels(parrot(VOCABULARY), unlabelled, classifier=Kinds())
    judge = random_judge((1, 4, 4), CLASSES)
    with pytest.raises(UserError, match="synthetic has no sentences with classes"):
        reconstructed_labels(parrot(VOCABULARY), dataset(), classifier=judge)
