"""The importance-weighted likelihood against closed forms and single draws."""

import math

import pytest
import torch
from fixtures import HEADS, dataset, tiny_model, within
from torch import nn
from torch.distributions import MultivariateNormal

from vaebench.errors import UserError
from vaebench.estimators import gaussian
from vaebench.evaluation import importance
from vaebench.evaluation.importance import importance_log_likelihoods, importance_weighted
from vaebench.models.divergence import kl_divergence
from vaebench.models.latent import LatentModel
from vaebench.models.posteriors import GaussianDraws, GaussianPosterior
from vaebench.models.priors import StandardGaussian

F64 = torch.float64
LATENT, PIXELS, NOISE = 2, 4, 0.3
SHAPE = (1, 2, 2)
DATA = dataset(train=5, test=103, shape=SHAPE)


class LinearDecoder(nn.Module):
    """p(x|z) = N(W z, NOISE I)."""

    constant_variance = None

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.weight = torch.randn(PIXELS, LATENT, dtype=F64, generator=generator)
        self.calls = []

    def log_prob(self, x, z):
        self.calls.append(tuple(z.shape))
        log_variance = torch.full((PIXELS,), math.log(NOISE), dtype=F64)
        return gaussian.log_density(x.flatten(1).double(), z @ self.weight.T, log_variance)


class LinearEncoder(nn.Module):
    """The exact q(z|x), mean and variances, its variances `spread` times too large."""

    def __init__(self, decoder, spread):
        super().__init__()
        self.decoder, self.spread, self.calls = decoder, spread, 0

    def forward(self, x):
        self.calls += 1
        weight = self.decoder.weight
        precision = torch.eye(LATENT, dtype=F64) + weight.T @ weight / NOISE
        mean = x.flatten(1).double() @ weight @ torch.linalg.inv(precision) / NOISE
        variance = self.spread / precision.diagonal()
        return GaussianPosterior(mean, variance.log().expand_as(mean))


def linear_model(spread=1.5):
    decoder = LinearDecoder()
    encoder = LinearEncoder(decoder, spread)
    return LatentModel(encoder, nn.Identity(), StandardGaussian(LATENT), decoder)


def exact(x):
    """log p(x) of the linear model, [B]."""
    weight = linear_model().decoder.weight
    covariance = weight @ weight.T + NOISE * torch.eye(PIXELS, dtype=F64)
    p = MultivariateNormal(torch.zeros(PIXELS, dtype=F64), covariance)
    return p.log_prob(x.flatten(1).double())


def images(size=3):
    return DATA.test.take(torch.arange(size)).x


def test_it_is_the_likelihood_of_a_linear_gaussian_model():
    torch.manual_seed(0)
    x = images()
    weights = [importance_log_likelihoods(linear_model(), x, 50) for _ in range(400)]
    ratios = (torch.stack(weights) - exact(x)).exp()  # unbiased for each number of samples
    assert ratios.dtype == F64 and within(ratios, 1.0)
    assert (ratios.std(0) > 0.01).all()  # so that the test says something
    many = importance_log_likelihoods(linear_model(), x, 200_000)
    torch.testing.assert_close(many, exact(x), rtol=0, atol=5e-3)


def test_the_evaluator_is_the_mean_over_the_test_set():
    torch.manual_seed(0)
    found = importance_weighted(linear_model(), DATA, samples=20_000)
    everything = DATA.test.take(torch.arange(103)).x
    assert set(found) == {"nll", "bits_per_dim", "rec", "kl", "negative_elbo"}
    assert found["nll"] == pytest.approx(-float(exact(everything).mean()), abs=5e-3)


def test_the_terms_of_the_elbo_are_those_of_a_linear_gaussian_model():
    """E_q[-log p(x|z)] is its value at the mean plus what the posterior's variances add."""
    torch.manual_seed(0)
    model = linear_model()
    found = importance_weighted(model, DATA, samples=20_000)
    x = DATA.test.take(torch.arange(103)).x
    posterior = model.infer(x)
    at_mean = model.decoder.log_prob(x, posterior.mean[None])[0]
    spread = (posterior.variance * model.decoder.weight.square().sum(0)).sum(1) / (2 * NOISE)
    rec = float((spread - at_mean).mean())
    kl = float(gaussian.kl_to_standard(posterior.mean, posterior.log_variance).mean())
    assert found["rec"] == pytest.approx(rec, abs=5e-3)
    assert found["kl"] == pytest.approx(kl, abs=5e-3)
    assert found["negative_elbo"] == found["rec"] + found["kl"]
    assert found["negative_elbo"] > found["nll"] + 0.05  # the posterior is too wide


def test_the_likelihood_does_not_depend_on_what_is_found_beside_it(monkeypatch):
    """It is the same number, to the bit, as of these few lines, which find nothing else."""
    monkeypatch.setattr(importance, "_DECODED", 7 * 50 * PIXELS)
    model = tiny_model(shape=SHAPE).eval()
    torch.manual_seed(3)
    found = importance_weighted(model, DATA, samples=17)
    torch.manual_seed(3)
    total = 0.0
    with torch.no_grad():
        for index in torch.arange(103).split(50):
            x = DATA.test.take(index).x
            posterior, most = model.infer(x), 7 * 50 // len(x)
            sums = torch.full((len(x),), -math.inf, dtype=F64)
            for size in [most] * (17 // most) + [17 % most] * (17 % most > 0):
                draws = posterior.draw(size)
                log_px = model.decoder.log_prob(x, draws.z)
                log_q, log_pz = draws.log_prob(), model.prior.log_prob(draws.z)
                weights = log_px.double() - (log_q - log_pz).double()
                sums = torch.logaddexp(sums, weights.logsumexp(0))
            total += float((sums - math.log(17)).sum())
    assert found["nll"] == -total / 103


class UniformDecoder(nn.Module):
    """Every one of 256 values is as likely as any other, in every channel of every pixel."""

    def log_prob(self, x, z):
        return torch.full(z.shape[:2], -x[0].numel() * math.log(256))


@pytest.mark.parametrize("shape", [(1, 2, 2), (3, 2, 4)])
def test_uniform_bytes_take_eight_bits(shape):
    model = tiny_model(shape=shape).eval()
    model.decoder = UniformDecoder()
    for parameter in model.head.parameters():
        nn.init.zeros_(parameter)  # q(z|x) = p(z), so that all weights are p(x)
    found = importance_weighted(model, dataset(shape=shape), samples=5)
    assert found["bits_per_dim"] == pytest.approx(8, rel=1e-6)
    assert found["nll"] == pytest.approx(math.prod(shape) * math.log(256), rel=1e-6)
    assert found["rec"] == pytest.approx(found["nll"]) and abs(found["kl"]) < 1e-6


def test_more_samples_are_worth_more():
    x = images()
    torch.manual_seed(0)
    bounds = {}
    for samples in (1, 3, 30):
        drawn = [importance_log_likelihoods(linear_model(4.0), x, samples) for _ in range(500)]
        bounds[samples] = torch.stack(drawn).mean(1)
    for few, many in ((1, 3), (3, 30)):
        gains = bounds[many] - bounds[few]
        assert gains.mean() > 5 * gains.std() / 500**0.5
    assert bounds[30].mean() < exact(x).mean() + 1e-3


def test_one_sample_is_the_elbo():
    model, x = linear_model(), images()
    posterior = model.infer(x)
    torch.manual_seed(5)
    found = importance_log_likelihoods(model, x, 1)
    torch.manual_seed(5)
    z = posterior.draw(1).z
    expected = model.decoder.log_prob(x, z) + model.prior.log_prob(z) - posterior.log_prob(z)
    torch.testing.assert_close(found, expected[0], rtol=1e-12, atol=1e-12)
    drawn = torch.stack([importance_log_likelihoods(model, x, 1) for _ in range(2_000)])
    torch.manual_seed(6)
    draws = posterior.draw(4_000)
    kl = kl_divergence(posterior, model.prior, draws)
    assert within(drawn, (model.decoder.log_prob(x, draws.z) - kl).mean(0))


class Listed(GaussianPosterior):
    """Draws from a list, so that chunks do not change them."""

    def __init__(self, posterior, noise):
        super().__init__(posterior.mean, posterior.log_variance)
        self.noise, self.taken = noise, 0

    def draw(self, samples):
        noise = self.noise[self.taken : self.taken + samples]
        self.taken += samples
        z = self.mean + torch.exp(0.5 * self.log_variance) * noise
        return GaussianDraws(self, z)


@pytest.mark.parametrize("chunk", [1, 4, 7, 1_000])
def test_chunks_change_nothing_but_the_order_of_the_noise(chunk, monkeypatch):
    x = images()
    monkeypatch.setattr(importance, "_DECODED", chunk * x.numel())
    model = linear_model()
    noise = torch.randn(23, 3, LATENT, dtype=F64, generator=torch.Generator().manual_seed(0))
    posterior = model.infer(x)
    z = posterior.mean + torch.exp(0.5 * posterior.log_variance) * noise
    weights = model.decoder.log_prob(x, z) + model.prior.log_prob(z) - posterior.log_prob(z)
    expected = weights.logsumexp(0) - math.log(23)
    model.decoder.calls.clear()
    model.infer = lambda x: Listed(posterior, noise)
    found = importance_log_likelihoods(model, x, 23)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    assert max(shape[0] for shape in model.decoder.calls) == min(chunk, 23)
    assert sum(shape[0] for shape in model.decoder.calls) == 23


def test_images_are_encoded_once_and_memory_is_bounded(monkeypatch):
    monkeypatch.setattr(importance, "_DECODED", 200 * PIXELS)
    model = linear_model()
    importance_weighted(model, DATA, samples=9)
    assert model.encoder.calls == 3  # 50, 50 and 3 images
    assert [shape[:2] for shape in model.decoder.calls] == [
        *[(4, 50), (4, 50), (1, 50)] * 2,
        (9, 3),
    ]


@pytest.mark.parametrize("head", HEADS)
def test_a_deterministic_encoder_has_none(head):
    torch.manual_seed(0)
    found = importance_weighted(tiny_model(head, shape=SHAPE).eval(), DATA, samples=3)
    for value in found.values():
        assert value is None if head == "deterministic" else math.isfinite(value)


@pytest.mark.parametrize("samples", [0, -1, 2.5, "500", None, True])
def test_samples_are_a_number(samples):
    with pytest.raises(UserError, match="samples is"):
        importance_weighted(linear_model(), DATA, samples=samples)
