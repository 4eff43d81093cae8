"""Sentences on a device: batches, buckets, selections."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vaebench.data import texts
from vaebench.data.catalog import CATALOG, lookup
from vaebench.data.dataset import Batch, TextSplit
from vaebench.data.loading import load
from vaebench.data.tokenizers import BOS, EOS, PAD
from vaebench.registry.runs import DataView

sentences_of = st.lists(st.lists(st.integers(4, 30), max_size=6), min_size=1, max_size=40)


def split_of(sentences):
    whole = [[BOS, *words, EOS] for words in sentences]
    flat = [place for sentence in whole for place in sentence]
    lengths = torch.tensor([len(sentence) for sentence in whole])
    labels = torch.arange(len(whole))
    return TextSplit(torch.tensor(flat, dtype=torch.int32), lengths, labels)


def rows(split):
    """Each sentence by itself."""
    return [split.take(torch.tensor([i])).x[0].tolist() for i in range(len(split))]


@given(sentences_of, st.data())
def test_a_batch_is_padded_to_its_longest(sentences, data):
    split = split_of(sentences)
    index = data.draw(st.lists(st.integers(0, len(sentences) - 1), min_size=1, max_size=8))
    batch = split.take(torch.tensor(index))
    longest = max(len(sentences[i]) for i in index) + 2
    expected = [[BOS, *sentences[i], EOS] for i in index]
    assert batch.x.tolist() == [row + [PAD] * (longest - len(row)) for row in expected]
    assert batch.x.dtype == torch.int64 and batch.y.tolist() == index
    assert batch.terms == sum(len(sentences[i]) + 1 for i in index)


@given(sentences_of, st.integers(1, 9))
def test_buckets_hold_all_sentences_once_each_of_one_length(sentences, size):
    split = split_of(sentences)
    buckets = split.buckets(size)
    assert sorted(i for bucket in buckets for i in bucket.tolist()) == list(range(len(sentences)))
    lengths = [split.lengths[bucket].unique().tolist() for bucket in buckets]
    assert all(len(found) == 1 for found in lengths) and lengths == sorted(lengths)
    assert all((bucket.diff() > 0).all() and len(bucket) <= size for bucket in buckets)
    for bucket, following in pairwise(buckets):
        assert len(bucket) == size or split.lengths[bucket[0]] < split.lengths[following[0]]
        assert (split.take(bucket).x != PAD).all()


@given(sentences_of, st.data())
def test_some_of_the_sentences(sentences, data):
    split = split_of(sentences)
    index = data.draw(st.lists(st.integers(0, len(sentences) - 1), min_size=1, max_size=8))
    some = split.some(torch.tensor(index))
    assert rows(some) == [[BOS, *sentences[i], EOS] for i in index]
    assert some.labels.tolist() == index and len(some) == len(index)
    assert len(some.tokens) == int(some.lengths.sum())


def test_lengths_stay_on_the_cpu():
    moved = split_of([[4], [5, 6]]).to("meta")
    assert moved.tokens.is_meta and moved.labels.is_meta and moved.starts.is_meta
    assert moved.lengths.tolist() == [3, 4]
    assert moved.buckets(2)[1].tolist() == [1]


def test_what_it_holds_is_named_and_its_labels_come_last():
    split = split_of([[4]])
    assert list(split.tensors) == ["tokens", "lengths", "labels"]


def test_terms_of_images_are_the_images():
    assert Batch(torch.zeros(7, 1, 2, 2), torch.zeros(7)).terms == 7


@pytest.mark.parametrize("limit", [10, 57, 300])
def test_a_limit_keeps_sentences_and_labels_together(tmp_path, limit):
    whole = load(DataView(dataset="grammar-documents"), tmp_path)
    few = load(DataView(dataset="grammar-documents", limit=limit), tmp_path)
    assert [len(s) for s in (few.train, few.test)] == [limit, min(120, max(limit // 5, 5))]
    known = {
        (tuple(row), label)
        for row, label in zip(rows(whole.train), whole.train.labels.tolist(), strict=True)
    }
    kept = list(zip(map(tuple, rows(few.train)), few.train.labels.tolist(), strict=True))
    assert set(kept) <= known and len(set(kept)) == limit
    counts = few.train.labels.bincount(minlength=5)
    assert counts.max() - counts.min() <= 1
    assert few.tokenizer.words == whole.tokenizer.words and few.sha256 != whole.sha256


def test_the_last_sentences_are_held_out(tmp_path, monkeypatch):
    made, entry = texts.MAKERS["grammar-documents"](), lookup("grammar-documents")
    two = {name: corpus for name, corpus in made.items() if name != "validation"}
    monkeypatch.setitem(texts.MAKERS, entry.name, lambda: two)
    splits = {name: size for name, size in entry.splits.items() if name in two}
    monkeypatch.setitem(CATALOG, entry.name, replace(entry, splits=splits))
    whole = load(DataView(dataset=entry.name), tmp_path)
    cut = load(DataView(dataset=entry.name, held_out=50), tmp_path)
    assert (cut.info.train_size, cut.info.validation_size) == (550, 50)
    texts_of = [
        [data.tokenizer.decode(row) for row in rows(split)]
        for data, split in [(whole, whole.train), (cut, cut.train), (cut, cut.validation)]
    ]
    assert texts_of[1] + texts_of[2] == texts_of[0]
