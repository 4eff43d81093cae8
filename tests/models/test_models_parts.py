"""Encoders, heads, priors and decoders: shapes, gradients, and what the paper's sizes come to."""

import inspect
from importlib import import_module

import pytest
import torch
from fixtures import HEADS, binary_images, random_batch, within
from torch import nn

from vaebench.models.decoders import BernoulliMlpDecoder
from vaebench.models.encoders import MlpEncoder
from vaebench.models.heads import (
    DeltaHead,
    DeterministicHead,
    GaussianHead,
    GlobalGaussianHead,
    LinearGaussianHead,
    NormalisedMean,
    VarianceDropout,
)
from vaebench.models.latent import glorot_uniform
from vaebench.models.posteriors import DeltaPosterior
from vaebench.models.priors import MixturePrior, StandardGaussian

SHAPE = (1, 2, 2)
LATENT = 3

ENCODERS = {"mlp": lambda: MlpEncoder(SHAPE, [7, 5])}
PRIORS = {
    "standard": lambda: StandardGaussian(LATENT),
    "mixture": lambda: MixturePrior(LATENT, 5, isotropic=False),
    "isotropic-mixture": lambda: MixturePrior(LATENT, 5, isotropic=True),
}
DECODERS = {"bernoulli-mlp": lambda: BernoulliMlpDecoder(LATENT, [5, 7], SHAPE)}
TESTED = {
    "encoders": {MlpEncoder},
    "heads": {
        DeltaHead,
        DeterministicHead,
        GaussianHead,
        GlobalGaussianHead,
        LinearGaussianHead,
        NormalisedMean,
        VarianceDropout,
    },
    "priors": {StandardGaussian, MixturePrior},
    "decoders": {BernoulliMlpDecoder},
}

encoders = pytest.mark.parametrize("encoder", ENCODERS.values(), ids=ENCODERS)
heads = pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
priors = pytest.mark.parametrize("prior", PRIORS.values(), ids=PRIORS)
decoders = pytest.mark.parametrize("decoder", DECODERS.values(), ids=DECODERS)


def made(part, seed=0):
    """The part in double precision with random weights and biases."""
    torch.manual_seed(seed)
    return part().double()


def codes(*leading, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*leading, LATENT, dtype=torch.float64, generator=generator)


def count(module):
    return sum(parameter.numel() for parameter in module.parameters())


def assert_gradients_reach(module):
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("room", TESTED)
def test_every_part_is_in_the_tables_of_this_file(room):
    module = import_module(f"vaebench.models.{room}")
    here = {
        value
        for value in vars(module).values()
        if inspect.isclass(value) and issubclass(value, nn.Module)
        if value.__module__ == module.__name__
    }
    assert here == TESTED[room]


@encoders
def test_an_encoder_takes_each_datum_by_itself(encoder):
    encoder, x = made(encoder), random_batch(6).x
    h = encoder(x)
    assert h.shape == (6, encoder.features)
    torch.testing.assert_close(h, torch.cat([encoder(datum) for datum in x.split(1)]))
    h.square().sum().backward()
    assert_gradients_reach(encoder)


@heads
def test_a_head_gives_the_shapes_of_the_contract(head):
    torch.manual_seed(0)
    head = head(5, LATENT).double()
    h = torch.randn(6, 5, dtype=torch.float64)
    posterior = head(h)
    assert posterior.mean.shape == (6, LATENT)
    assert posterior.rsample(4).shape == (4, 6, LATENT)
    torch.manual_seed(1)
    z = posterior.rsample(4)
    torch.manual_seed(1)
    assert torch.equal(posterior.draw(4).z, z)
    z.square().sum().backward()
    assert_gradients_reach(head)


@heads
def test_a_head_takes_each_datum_by_itself(head):
    torch.manual_seed(0)
    head = head(5, LATENT).double()
    h = torch.randn(6, 5, dtype=torch.float64)
    together, alone = head(h), [head(row) for row in h.split(1)]
    torch.testing.assert_close(together.mean, torch.cat([one.mean for one in alone]))
    if not isinstance(together, DeltaPosterior):
        z = torch.randn(4, 6, LATENT, dtype=torch.float64)
        pairs = zip(alone, z.split(1, dim=1), strict=True)
        found = torch.cat([one.log_prob(draws) for one, draws in pairs], dim=1)
        torch.testing.assert_close(together.log_prob(z), found)


@priors
def test_a_prior_samples_its_density(prior):
    prior = made(prior)
    torch.manual_seed(0)
    z = prior.sample(50_000, torch.device("cpu")).double()
    assert z.shape == (50_000, LATENT)
    # E[q(z)/p(z)] under p is 1 for any normalised q that is narrower than p, if p is normalised
    # and z follows it; in three places, so that a wrong location or scale of p is seen.
    for place in (-0.5, 0.0, 0.5):
        narrow = torch.distributions.Normal(place, 0.7)
        ratio = torch.exp(narrow.log_prob(z).sum(-1) - prior.log_prob(z))
        assert within(ratio, 1.0)


@priors
def test_the_density_of_a_prior_takes_any_leading_axes(prior):
    prior, z = made(prior), codes(2, 4)
    one_by_one = torch.stack([prior.log_prob(row) for row in z])
    assert prior.log_prob(z).shape == (2, 4)
    torch.testing.assert_close(prior.log_prob(z), one_by_one)


@decoders
def test_stacked_samples_decode_as_one_by_one(decoder):
    decoder, x, z = made(decoder), random_batch(6).x, codes(4, 6)
    stacked = decoder.log_prob(x, z)
    assert stacked.shape == (4, 6)
    one_by_one = [
        [decoder.log_prob(x[datum : datum + 1], z[sample, datum].view(1, 1, -1)).item()]
        for sample in range(4)
        for datum in range(6)
    ]
    expected = torch.tensor(one_by_one, dtype=torch.float64).view(4, 6)
    torch.testing.assert_close(stacked, expected)


@decoders
def test_gradients_reach_every_parameter_of_a_decoder_and_the_code(decoder):
    decoder, z = made(decoder), codes(4, 6).requires_grad_()
    decoder.log_prob(random_batch(6).x, z).sum().backward()
    assert_gradients_reach(decoder)
    assert (z.grad.abs().sum(-1) > 0).all()


@decoders
def test_the_probabilities_of_all_binary_images_sum_to_one(decoder):
    decoder, every = made(decoder), binary_images(SHAPE)
    z = 3 * codes(5)
    log_prob = decoder.log_prob(every, z.unsqueeze(1).expand(5, len(every), LATENT))
    assert log_prob.shape == (5, 16)
    torch.testing.assert_close(log_prob.exp().sum(1), torch.ones(5, dtype=torch.float64))
    # The mean is that of this distribution.
    expected = torch.einsum("si,ichw->schw", log_prob.exp(), every)
    torch.testing.assert_close(decoder.mean(z), expected)


@decoders
@pytest.mark.parametrize("leading", [(2,), (2, 3), (2, 3, 4)])
def test_means_and_samples_have_the_shape_of_data(decoder, leading):
    decoder, z = made(decoder), codes(*leading)
    mean, sample = decoder.mean(z), decoder.sample(z)
    assert mean.shape == sample.shape == (*leading, *SHAPE)
    assert ((mean > 0) & (mean < 1)).all() and ((sample == 0) | (sample == 1)).all()
    flat = decoder.mean(z.flatten(0, -2)).view_as(mean)
    torch.testing.assert_close(mean, flat)


@decoders
def test_samples_of_a_decoder_have_its_mean(decoder):
    decoder, z = made(decoder), codes(3)
    torch.manual_seed(0)
    drawn = decoder.sample(z.expand(20_000, 3, LATENT))
    assert within(drawn, decoder.mean(z).detach())
    # Given z the pixels are independent: every binary image comes up as often as it should.
    every = binary_images(SHAPE)
    expected = decoder.log_prob(every, z[:1].unsqueeze(1).expand(1, 16, LATENT)).exp()[0]
    hits = (drawn[:, :1] == every).flatten(2).all(-1).double()
    assert within(hits, expected.detach())


@decoders
def test_a_bernoulli_has_no_one_variance(decoder):
    assert made(decoder).constant_variance is None


def test_the_papers_network_has_the_papers_size():
    hidden, shape, latent = [200, 200], (1, 28, 28), 32
    assert count(MlpEncoder(shape, hidden)) == 197_200
    assert count(BernoulliMlpDecoder(latent, hidden[::-1], shape)) == 204_384
    assert count(StandardGaussian(latent)) == 0
    for name, log_variance in (("diagonal", 6_432), ("isotropic", 201)):
        head = HEADS[name](hidden[-1], latent)
        assert (count(head.mean), count(head.log_variance)) == (6_432, log_variance)
    assert count(HEADS["deterministic"](hidden[-1], latent)) == 6_432


def test_glorot_uniform_fills_its_bounds_and_clears_the_biases():
    torch.manual_seed(0)
    encoder = MlpEncoder((1, 28, 28), [200, 150])
    assert glorot_uniform(encoder) is encoder
    layers = [layer for layer in encoder.modules() if isinstance(layer, nn.Linear)]
    assert [tuple(layer.weight.shape) for layer in layers] == [(200, 784), (150, 200)]
    for layer in layers:
        bound = (6 / sum(layer.weight.shape)) ** 0.5
        weight = layer.weight.detach()
        assert 0.999 * bound < weight.abs().max() <= bound
        assert within(weight.flatten().double(), 0.0)
        assert within(weight.flatten().double().square(), bound**2 / 3)
        assert not layer.bias.any()
