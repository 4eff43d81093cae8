"""What makes a batch: every example once, in buckets of one length, in an order of the seed's."""

from itertools import islice

import pytest
import torch
from fixtures import dataset, sentences, training
from hypothesis import given, settings
from hypothesis import strategies as st

from vaebench.data.tokenizers import PAD
from vaebench.errors import UserError
from vaebench.registry.runs import Buckets
from vaebench.training.batching import Batching, epoch_order

CPU = torch.device("cpu")
law = settings(deadline=None, max_examples=30)


def in_buckets(size, batch_size=4, least=1, seed=0):
    split = sentences(size, seed)
    chosen = training(batch_size=batch_size).model_copy(update={"buckets": Buckets(least=least)})
    return split, Batching(split, chosen, CPU)


def uniform(size, batch_size=4, **change):
    chosen = training(batch_size=batch_size).model_copy(update=change)
    return Batching(dataset(train=size).train, chosen, CPU)


@law
@given(st.integers(1, 60), st.integers(1, 9), st.integers(0, 3))
def test_buckets_have_every_sentence_once_and_one_length_each(size, batch_size, seed):
    split, batching = in_buckets(size, batch_size, seed=seed)
    batches = batching.everything()
    assert sorted(torch.cat(list(batches)).tolist()) == list(range(size))
    full = {}
    for index in batches:
        lengths = split.lengths[index]
        assert len(index) <= batch_size and (lengths == lengths[0]).all()
        assert (split.take(index).x != PAD).all()
        full.setdefault(int(lengths[0]), []).append(len(index))
    for sizes in full.values():  # one batch of a length at most is not full
        assert all(count == batch_size for count in sizes[:-1])


@law
@given(st.integers(20, 60), st.integers(1, 4), st.integers(0, 9), st.integers(1, 9))
def test_an_epoch_has_the_buckets_that_are_large_enough_in_another_order(size, least, seed, epoch):
    _, batching = in_buckets(size, least=least)
    wanted = [index.tolist() for index in batching.everything() if len(index) >= least]
    found = [index.tolist() for index in batching.epoch(seed, epoch)]
    order = epoch_order(len(wanted), seed, epoch).tolist()
    assert found == [wanted[i] for i in order]


def test_buckets_are_made_once():
    _, batching = in_buckets(50)
    epochs = [{tuple(b.tolist()) for b in batching.epoch(0, epoch)} for epoch in (1, 2, 3)]
    assert epochs[0] == epochs[1] == epochs[2]


def test_uniform_batches_are_a_permutation_cut():
    batching = uniform(10)
    found = batching.epoch(3, 2)
    assert torch.equal(torch.cat(list(found)), epoch_order(10, 3, 2))
    assert [len(index) for index in found] == [4, 4, 2]
    assert [len(index) for index in uniform(10, drop_last=True).epoch(3, 2)] == [4, 4]
    assert torch.equal(torch.cat(list(batching.everything())), torch.arange(10))


def test_random_batches_are_buckets_of_any_size_or_random_examples():
    torch.manual_seed(0)
    _, batching = in_buckets(30, least=4)
    known = {tuple(index.tolist()) for index in batching.everything()}
    drawn = {tuple(index.tolist()) for index in islice(batching.at_random(), 300)}
    assert drawn == known and min(map(len, known)) < 4
    some = list(islice(uniform(10).at_random(), 50))
    assert all(len(set(index.tolist())) == 4 for index in some)
    assert set(torch.cat(some).tolist()) == set(range(10))


def test_only_sentences_come_in_buckets_and_some_must_be_left():
    with pytest.raises(UserError, match="only sentences have a length"):
        uniform(10, buckets=Buckets(least=1))
    with pytest.raises(UserError, match="no 50 training sentences have the same length"):
        in_buckets(30, least=50)
