"""Text data sets that are made of other sets' files."""

import json
from collections import Counter

import numpy as np
import pytest
from text_files import held, lay, small, text

from vaebench.data.derived_texts import (
    STARS,
    read_reviews,
    read_sentiment,
    read_topics,
    tokenised,
)
from vaebench.data.loading import load
from vaebench.errors import UserError
from vaebench.registry.runs import DataView


@pytest.fixture
def topics(tmp_path):
    """Documents `<file> <class> <place>` of four classes, ten of each in each of two files."""
    entry = small("yahoo-derived", 64, 8, 8, classes=4)
    files = [text(f"{file} {i // 10} {i}" for i in range(40)) for file in "ab"]
    lay(tmp_path, entry, *files)
    return entry, read_topics(entry, tmp_path)


def test_topics_are_where_the_documents_stand_in_their_file(topics):
    for corpus in topics[1].values():
        assert corpus.labels.tolist() == [int(s.split()[1]) for s in corpus.sentences]


def test_every_topic_is_as_often_in_every_split(topics):
    for name, each in {"train": 16, "validation": 2, "test": 2}.items():
        assert np.bincount(topics[1][name].labels).tolist() == [each] * 4


def test_topics_are_split_without_rest_and_mixed(topics):
    corpora = topics[1]
    every = [sentence for corpus in corpora.values() for sentence in corpus.sentences]
    assert len(every) == len(set(every)) == 80
    assert {sentence[0] for sentence in corpora["train"].sentences} == {"a", "b"}
    assert (np.diff(corpora["train"].labels) < 0).any()


@pytest.fixture
def sentiment(tmp_path):
    entry = small("yelp-short-derived", 60, 12, 14)
    sizes = {"dev.0": 10, "dev.1": 20, "test.0": 30, "test.1": 50}
    files = [text(f"{name} {i}" for i in range(size)) for name, size in sizes.items()]
    lay(tmp_path, entry, *files)
    return read_sentiment(entry, tmp_path)


def test_sentiment_is_that_of_the_file(sentiment):
    for corpus in sentiment.values():
        assert corpus.labels.tolist() == [int(s.split()[0][-1]) for s in corpus.sentences]
        assert set(corpus.labels.tolist()) == {0, 1}


def test_training_sentences_come_from_other_files_than_the_rest(sentiment):
    sources = {
        name: {sentence.split(".")[0] for sentence in corpus.sentences}
        for name, corpus in sentiment.items()
    }
    assert sources == {"train": {"test"}, "validation": {"dev"}, "test": {"dev"}}
    assert [len(corpus) for corpus in sentiment.values()] == [60, 12, 14]
    drawn = [sentence for corpus in sentiment.values() for sentence in corpus.sentences]
    assert len(set(drawn)) == len(drawn)


REVIEWS = [{"label": STARS[i % 5], "sentence": f"Text: Dish no. {i}.\n"} for i in range(20)]


def reviews(folder, content):
    entry = small("yelp-derived", 14, 3, 3)
    lay(folder, entry, content if isinstance(content, str) else json.dumps(content))
    return entry, folder / entry.name / entry.files[0].name


def test_reviews_keep_their_stars(tmp_path):
    entry, _ = reviews(tmp_path, REVIEWS)
    corpora = read_reviews(entry, tmp_path)
    found = Counter()
    for name, corpus in corpora.items():
        assert len(corpus) == entry.splits[name]
        found.update(zip(corpus.sentences, corpus.labels.tolist(), strict=True))
    assert found == Counter((f"dish no . {i} .", i % 5) for i in range(20))


def test_reviews_are_split_by_what_they_say(tmp_path):
    """In whatever order the file has them."""
    entry, _ = reviews(tmp_path / "a", REVIEWS)
    first = read_reviews(entry, tmp_path / "a")
    entry, _ = reviews(tmp_path / "b", REVIEWS[::-1])
    second = read_reviews(entry, tmp_path / "b")
    for name in entry.splits:
        assert first[name].sentences == second[name].sentences
        assert first[name].labels.tolist() == second[name].labels.tolist()
    assert sorted(first["test"].sentences) != sorted(first["validation"].sentences)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Don't GO!!", "don't go ! !"),
        ('a \\"fine\\" place\\n\\nfor $16.50', 'a " fine " place for $ 16 . 50'),
        ("caf\\u00e9\\r :\\\\", "café : \\"),
        ("'quoted' (twice)", "' quoted ' ( twice )"),
    ],
)
def test_tokenised(given, expected):
    assert tokenised(given) == expected


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[{", "cannot be read as JSON (Expecting property name"),
        ("{}", "expected a list of reviews; delete "),
        (
            [*REVIEWS[:3], {"label": "fine", "sentence": "Text: a"}],
            "review 4: expected a `sentence`",
        ),
        (
            [*REVIEWS[:1], {"label": "neutral", "sentence": "Text: \n"}],
            "review 2: expected a `sent",
        ),
        (
            [["neutral", "a"]],
            "review 1: expected a `sentence`, and as `label` one of very negative",
        ),
        (REVIEWS[:19], "expected 20 reviews, found 19"),
    ],
)
def test_a_file_of_reviews_that_is_none(tmp_path, content, told):
    entry, path = reviews(tmp_path, content)
    with pytest.raises(UserError) as caught:
        read_reviews(entry, tmp_path)
    assert str(caught.value).startswith(f"{path}: {told}")


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "vocabulary", "longest", "test_labels", "sha256"),
    [
        ("yahoo-derived", 18_438, 202, [200] * 10, "e346476078e5c805"),
        ("yelp-short-derived", 8_893, 17, [3_934, 6_066], "caaa9f0ffa931c02"),
        ("yelp-derived", 20_318, 1_140, [93, 111, 102, 86, 108], "59a8cf312a1d6cc9"),
    ],
)
def test_the_real_ones(tmp_path, name, vocabulary, longest, test_labels, sha256):
    data = load(DataView(dataset=name), held(name, tmp_path))
    assert (data.info.vocabulary, data.info.longest) == (vocabulary, longest)
    assert data.test.labels.bincount().tolist() == test_labels
    assert data.sha256.startswith(sha256)
