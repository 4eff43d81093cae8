"""The sentences of the case study."""

import hashlib

import numpy as np
import pytest
import torch

from vaebench.data import gaussian_sentences
from vaebench.data.catalog import lookup
from vaebench.data.gaussian_sentences import CENTRES, LENGTH, WORDS, Network, make, points
from vaebench.data.loading import load
from vaebench.data.tokenizers import SPECIALS
from vaebench.registry.runs import DataView


@pytest.fixture
def few(monkeypatch):
    """The first 300 sentences."""
    monkeypatch.setattr(gaussian_sentences, "_SIZES", {"train": 200, "validation": 60, "test": 40})
    return make()


def test_the_sizes_are_those_of_the_catalogue():
    entry = lookup("gaussian-sentences")
    assert dict(entry.splits) == gaussian_sentences._SIZES
    assert entry.words == tuple(f"w{number}" for number in range(WORDS))
    assert entry.classes == len(CENTRES)


def test_points_are_of_five_gaussians_of_unit_variance():
    z, labels = points(20_000)
    for label, centre in enumerate(CENTRES):
        cloud = z[labels == label] - centre
        assert len(cloud) == pytest.approx(4_000, abs=5 * 57)
        assert np.abs(cloud.mean(0)).max() < 5 / len(cloud) ** 0.5
        assert np.abs(np.cov(cloud.T) - np.eye(2)).max() < 5 * (2 / len(cloud)) ** 0.5


def test_the_network_is_that_of_torch():
    """An LSTM and an MLP of torch give each word a share that holds the quantile drawn for it."""
    network = Network.drawn(1)
    generator = np.random.Generator(np.random.PCG64(0))
    z, drawn = generator.normal(size=(40, 2)) * 2, generator.random((40, LENGTH))
    words = torch.from_numpy(network.words(z, drawn))
    tensors = {name: torch.from_numpy(array) for name, array in vars(network).items()}
    points = torch.from_numpy(z)
    lstm = torch.nn.LSTM(100, 100, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        lstm.weight_ih_l0.copy_(tensors["inputs"].T)
        lstm.weight_hh_l0.copy_(tensors["recurrent"][:-2].T)
        lstm.bias_ih_l0.copy_(tensors["recurrent"][-2])
        lstm.bias_hh_l0.copy_(tensors["recurrent"][-1])
        before = torch.cat([torch.zeros(40, 1, 100), tensors["embeddings"][words[:, :-1]]], 1)
        start = torch.cat([points, torch.ones(40, 1)], 1) @ tensors["first"]
        states, _ = lstm(before.double(), (start[None], torch.zeros(1, 40, 100).double()))
        told = torch.cat([states, points[:, None].expand(-1, LENGTH, -1)], -1)
        hidden = torch.tanh(told @ tensors["hidden"][:-1] + tensors["hidden"][-1])
        shares = (hidden @ tensors["output"][:-1] + tensors["output"][-1]).softmax(-1)
    above = shares.cumsum(-1).gather(-1, words[..., None])[..., 0]
    below = above - shares.gather(-1, words[..., None])[..., 0]
    quantiles = torch.from_numpy(drawn)
    assert (below - 1e-9 <= quantiles).all() and (quantiles <= above + 1e-9).all()
    assert len(words.unique()) > 100


def test_parameters_fill_their_ranges():
    for name, array in vars(Network.drawn(2)).items():
        most = 5 if name in ("hidden", "output") else 1
        assert 0.95 * most < array.max() < most and -most <= array.min() < -0.95 * most
        assert array.std() == pytest.approx(most / 3**0.5, rel=0.05)


def test_they_are_the_same_on_every_machine(few):
    lines = "".join(
        f"{label}\t{text}\n"
        for corpus in few.values()
        for text, label in zip(corpus.sentences, corpus.labels.tolist(), strict=True)
    )
    assert lines.startswith("3\tw493 w837 w837 w249 w131 w739 w103 w229 w962 w734\n")
    expected = "8204ad8b5621412f148e567c8ac002cf455ff91928350ddb6a0d1773093db3dd"
    assert hashlib.sha256(lines.encode()).hexdigest() == expected


def test_every_word_has_an_id_whether_it_is_drawn_or_not(few, tmp_path, monkeypatch):
    monkeypatch.setattr("vaebench.data.texts.MAKERS", {"gaussian-sentences": lambda: few})
    data = load(DataView(dataset="gaussian-sentences"), tmp_path)
    assert data.info.vocabulary == 1_004 and data.info.longest == LENGTH + 2
    assert len(data.train.tokens.unique()) < 1_004
    first = data.train.take(torch.tensor([0])).x[0].tolist()
    assert data.tokenizer.decode(first) == few["train"].sentences[0]
    assert first[1] == len(SPECIALS) + int(few["train"].sentences[0].split()[0][1:])
    assert torch.equal(data.test.labels, torch.from_numpy(few["test"].labels))
