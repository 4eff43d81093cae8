"""Features that are means of draws from q(z|x)."""

import pytest
import torch
from fixtures import dataset, text_dataset, tiny_model, within

from vaebench.evaluation import encoding
from vaebench.evaluation.encoding import posterior_means, sampled_features
from vaebench.models.posteriors import GaussianPosterior

SHAPE = (1, 2, 2)
TRAIN = dataset(train=61, shape=SHAPE).train


def drawn(draws, seed=0, head="diagonal"):
    torch.manual_seed(seed)
    return sampled_features(tiny_model(head, shape=SHAPE).eval(), TRAIN, draws)


def test_none_is_the_mean_of_the_posterior():
    assert torch.equal(drawn(0), posterior_means(tiny_model(shape=SHAPE).eval(), TRAIN))


@pytest.mark.parametrize("draws", [1, 7])
def test_they_are_means_of_independent_draws(draws):
    """The mean has the posterior's mean and its variance divided by the number of draws."""
    with torch.no_grad():
        posterior = tiny_model(shape=SHAPE).eval().infer(TRAIN.take(torch.arange(61)).x)
    torch.manual_seed(3)
    model = tiny_model(shape=SHAPE).eval()
    found = torch.stack([sampled_features(model, TRAIN, draws) for _ in range(400)])
    standard = (found - posterior.mean) / (posterior.variance / draws).sqrt()
    assert within(standard.flatten(), 0.0) and within(standard.square().flatten(), 1.0)


@pytest.mark.parametrize("chunk", [1, 7, 60])
def test_chunks_do_not_change_the_draws(chunk, monkeypatch):
    torch.manual_seed(0)
    model = tiny_model(shape=SHAPE).eval()
    found = []
    for size in (2_000, chunk):
        monkeypatch.setattr(encoding, "CHUNK", size)
        torch.manual_seed(1)
        found.append(sampled_features(model, TRAIN, 3))
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=1e-6)


def test_a_deterministic_encoder_draws_its_mean():
    torch.testing.assert_close(
        drawn(4, head="deterministic").float(), drawn(0, head="deterministic")
    )


class Counts:
    """The code of a sentence is its number of words, and nearly certain."""

    def infer(self, x):
        counts = (x != 0).sum(1, keepdim=True).float()
        return GaussianPosterior(counts, torch.full_like(counts, -20.0))


def test_sentences_keep_their_order():
    train = text_dataset(train=50).train
    found = sampled_features(Counts(), train, 2)[:, 0]
    assert torch.equal(found.round().long(), train.lengths)
