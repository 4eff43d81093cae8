"""The importance-weighted likelihood of sentences against an integral over their one-dimensional
codes."""

import math

import pytest
import torch
from fixtures import within
from torch import nn

from vaebench.data.dataset import DataInfo, Dataset, TextSplit
from vaebench.data.tokenizers import BOS, EOS
from vaebench.evaluation import importance
from vaebench.evaluation.importance import importance_log_likelihoods, importance_weighted
from vaebench.models.heads import LinearGaussianHead
from vaebench.models.latent import LatentModel
from vaebench.models.lstm import LstmDecoder, LstmEncoder, uniform
from vaebench.models.priors import StandardGaussian

VOCABULARY, LONGEST = 7, 6


def split(size, seed=0):
    """Sentences of one to four words, in no order of length."""
    generator = torch.Generator().manual_seed(seed)
    lengths = 3 + torch.randint(4, (size,), generator=generator)
    tokens = [
        torch.tensor([BOS, *torch.randint(3, VOCABULARY, (n - 2,), generator=generator), EOS])
        for n in lengths.tolist()
    ]
    return TextSplit(torch.cat(tokens).int(), lengths, torch.zeros(size, dtype=torch.int64))


def data(size):
    sizes = {"vocabulary": VOCABULARY, "longest": LONGEST}
    info = DataInfo("drawn", "stand-in", (), 0, size, size, **sizes)
    return Dataset(split(size), split(size, 1), info, "0" * 64)


def model():
    """Codes of one dimension that say much about the words, and posteriors too wide by a half."""
    torch.manual_seed(0)
    head = LinearGaussianHead(5, 1, bias=False, mean=nn.Identity(), variance=nn.Identity())
    decoder = LstmDecoder(VOCABULARY, 1, 4, 6, 0.5, LONGEST, initial_state=True)
    prior = StandardGaussian(1)
    made = LatentModel(LstmEncoder(VOCABULARY, 4, 5), head, prior, decoder)
    uniform(made, weights=1.0, biases=1.0, embeddings=1.0)
    return made.eval().requires_grad_(False)


def exact(made, x):
    """log p(x) [B] by the trapezoidal rule, of sentences of one length."""
    grid = torch.linspace(-9, 9, 2_001)
    z = grid.view(-1, 1, 1).expand(-1, len(x), 1)
    densities = made.decoder.log_prob(x, z) + made.prior.log_prob(z)
    return densities.double().logsumexp(0) + math.log(float(grid[1] - grid[0]))


def test_it_is_the_integral_over_the_codes():
    made, test = model(), data(40).test
    torch.manual_seed(0)
    for index in test.buckets(20):
        x = test.take(index).x
        found = torch.stack([importance_log_likelihoods(made, x, 40) for _ in range(100)])
        ratios = (found - exact(made, x)).exp()  # unbiased for each number of samples
        assert found.dtype == torch.float64 and within(ratios, 1.0)
        assert (ratios.std(0) > 0.001).all()  # so that the test says something


def test_the_evaluator_is_the_mean_over_the_sentences():
    made, everything = model(), data(40)
    torch.manual_seed(0)
    found = importance_weighted(made, everything, samples=4_000)
    assert found["bits_per_dim"] is None  # words have no channels
    by_length = [exact(made, everything.test.take(index).x) for index in everything.test.buckets(9)]
    assert found["nll"] == pytest.approx(-float(torch.cat(by_length).mean()), abs=5e-3)


@pytest.mark.parametrize("codes", [1, 30, 10_000])
def test_sentences_of_equal_length_go_together(codes, monkeypatch):
    """Each is encoded once, none is padded, and codes are decoded in bounded numbers."""
    made, everything, calls, encoded = model(), data(50), [], []

    def log_prob(x, z):
        calls.append(tuple(z.shape[:2]))
        assert (x[:, -1] == EOS).all() and len(z) * len(x) <= max(codes, len(x))
        return torch.zeros(z.shape[:2])

    monkeypatch.setattr(importance, "_CODES", codes)
    monkeypatch.setattr(made.decoder, "log_prob", log_prob)
    made.encoder.register_forward_hook(lambda module, inputs, output: encoded.append(len(output)))
    importance_weighted(made, everything, samples=23)
    assert sum(encoded) == 50 and len(encoded) == len(everything.test.buckets(20)) < 10
    assert sum(samples * size for samples, size in calls) == 23 * 50
