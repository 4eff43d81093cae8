"""The sentences and documents of the grammar."""

import hashlib
import re

import numpy as np
import pytest

from vaebench.data.catalog import lookup
from vaebench.data.grammar import TOPICS, make_documents, make_reviews
from vaebench.data.loading import load
from vaebench.registry.runs import DataView

MADE = {"grammar-reviews": make_reviews(), "grammar-documents": make_documents()}
SINGULAR = {word for topic in TOPICS.values() for word in f"{topic.nouns} {topic.places}".split()}
BAD, GOOD = (
    {word for topic in TOPICS.values() for word in getattr(topic, mood).split()}
    for mood in ("bad", "good")
)
BY_NAME = pytest.mark.parametrize("name", MADE)


def texts(name):
    """All sentences of a set with their labels."""
    for corpus in MADE[name].values():
        yield from zip(corpus.sentences, corpus.labels.tolist(), strict=True)


@BY_NAME
def test_sizes_and_classes(name):
    entry = lookup(name)
    assert {split: len(corpus) for split, corpus in MADE[name].items()} == dict(entry.splits)
    for corpus in MADE[name].values():
        counts = np.bincount(corpus.labels, minlength=entry.classes)
        assert len(counts) == entry.classes and counts.min() > 0.65 * counts.mean()


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("grammar-reviews", "e7a66df94a8bcbf844bceab2694ac72f9fd77c6626f1a087ab81ea3f479a680b"),
        ("grammar-documents", "39e6228197b7510ccff994c7f9dcdc4ea73c9599b283d9086623151a10dfc11e"),
    ],
)
def test_they_are_the_same_on_every_machine(name, expected):
    lines = "".join(f"{label}\t{text}\n" for text, label in texts(name))
    assert hashlib.sha256(lines.encode()).hexdigest() == expected


@BY_NAME
def test_a_verb_agrees_with_its_subject(name):
    """The subject is the first noun of its clause, whatever stands between it and the verb."""
    other_number = 0
    for text, _ in texts(name):
        for clause in re.split(r"\.|\band\b|\bfor\b|\bsays\b", text):
            words = clause.split()
            verbs = [word for word in words if word in ("is", "was", "are", "were")]
            if not verbs:
                continue
            singular = words[1] in SINGULAR
            assert singular == (verbs[0] in ("is", "was")), clause
            assert words[0] in ({"the", "this", "that"} if singular else {"the", "these", "those"})
            other_number += len(words) > 5 and (words[4] in SINGULAR) != singular
    assert other_number > 100


@BY_NAME
def test_a_verb_agrees_with_its_person_who_stays_the_same(name):
    found = set()
    for text, _ in texts(name):
        persons = re.findall(
            r"\b(she|he|they|we)\b(?: (?:never|hardly|rarely|always|gladly|often))?"
            r" (\w+)",
            text,
        )
        assert len({person for person, _ in persons}) <= 1
        for person, verb in persons:
            assert verb.endswith("s") == (person in ("she", "he"))
            found.add(person)
    assert found == {"she", "he", "they", "we"}


@BY_NAME
def test_a_text_has_one_topic_one_mood_and_one_tense(name):
    for text, label in texts(name):
        words = set(text.split())
        topics = [
            number
            for number, topic in enumerate(TOPICS.values())
            if words & set(f"{topic.nouns} {topic.places} {topic.bad} {topic.good}".split())
        ]
        moods = [mood for mood, adjectives in enumerate((BAD, GOOD)) if words & adjectives]
        assert len(topics) <= 1 and len(moods) <= 1
        assert not (words & {"is", "are"} and words & {"was", "were"})
        if name == "grammar-reviews":
            assert moods in ([], [label])
        else:
            assert topics in ([], [label])


def test_few_lengths_and_full_buckets(tmp_path):
    """So that batches of one length are large enough to train on, even if a limit leaves few."""
    for name, lengths in {
        "grammar-reviews": {5, 6, 8, 11, 14, 15},
        "grammar-documents": {20, 28, 36, 44, 52, 60},
    }.items():
        assert {len(text.split()) for text, _ in texts(name)} == lengths
        limited = load(DataView(dataset=name, limit=300), tmp_path).train
        batches = limited.buckets(32)
        assert sum(len(batch) >= 16 for batch in batches) > 0.6 * len(batches)


def test_most_test_sentences_are_new():
    for corpora in MADE.values():
        known = set(corpora["train"].sentences)
        assert np.mean([text in known for text in corpora["test"].sentences]) < 0.15
