"""Gaussian decoders against torch's Gaussian, and the variance models of AR-ELBO."""

import pytest
import torch
from fixtures import within
from torch import nn
from torch.distributions import Normal

from vaebench.estimators.variance_models import FORMS
from vaebench.models.convolutional import ConvolutionalGenerator
from vaebench.models.gaussian_decoder import GaussianDecoder, SharedVariance, variance_of_form

SHAPE, LATENT = (2, 4, 4), 3
MODELS = (*FORMS, "fixed")

every_model = pytest.mark.parametrize("model", MODELS)
outputs = pytest.mark.parametrize("output", ["identity", "sigmoid"])


def made(model, output="identity", moved=True):
    """A decoder in double precision; `moved`, its log variances are anywhere but at 0."""
    torch.manual_seed(0)
    if model == "fixed":
        variance = SharedVariance(torch.tensor(-0.7), trainable=False)
    else:
        variance = None if model == "none" else variance_of_form(model, SHAPE)
    extra = SHAPE[0] if model.endswith("-D") else 0
    generator = ConvolutionalGenerator("plain", LATENT, SHAPE, extra, 0.2)
    decoder = GaussianDecoder(generator, SHAPE[0], output, variance).double()
    if moved:
        with torch.no_grad():
            for parameter in decoder.parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))
    return decoder


def codes(*leading):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(*leading, LATENT, dtype=torch.float64, generator=generator)


def images(count):
    generator = torch.Generator().manual_seed(2)
    return torch.rand(count, *SHAPE, dtype=torch.float64, generator=generator)


@outputs
@every_model
def test_the_density_is_torchs_with_its_moments(model, output):
    decoder, x, z = made(model, output), images(5), codes(4, 5)
    mean, log_variance = decoder.moments(z)
    expected = Normal(mean, torch.exp(0.5 * log_variance)).log_prob(x).sum((-3, -2, -1))
    found = decoder.log_prob(x, z)
    assert found.shape == (4, 5)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)
    assert torch.equal(decoder.mean(z), mean)


@every_model
def test_the_log_variance_is_shared_as_the_form_says(model):
    decoder, z = made(model), codes(4, 5)
    mean, log_variance = decoder.moments(z)
    each = log_variance.expand_as(mean).flatten(0, 1).flatten(1).detach()
    pixels_differ, data_differ = each.std(1).max() > 1e-6, each.std(0).max() > 1e-6
    assert bool(pixels_differ) == model.startswith("Diag")
    assert bool(data_differ) == model.endswith("-D")


@pytest.mark.parametrize("form", FORMS)
def test_log_variances_start_at_zero(form):
    decoder = made(form, moved=False)
    mean, log_variance = decoder.moments(3 * codes(4))
    assert not log_variance.any() and mean.flatten(1).std(1).min() > 0


def test_iso_d_is_the_mean_of_the_channels_of_diag_d():
    isotropic, diagonal = (made(form).moments(codes(4))[1] for form in ("Iso-D", "Diag-D"))
    torch.testing.assert_close(isotropic, diagonal.mean((1, 2, 3), keepdim=True))


@every_model
def test_one_variance_is_told_where_there_is_one(model):
    decoder = made(model)
    if model in ("fixed", "Iso-I"):
        variance = decoder.constant_variance
        assert variance.shape == () and not variance.requires_grad
        torch.testing.assert_close(variance, decoder.moments(codes(1))[1].exp().detach())
    else:
        assert decoder.constant_variance is None


@outputs
@every_model
def test_gradients_reach_every_parameter_and_the_code(model, output):
    decoder, z = made(model, output), codes(4, 5).requires_grad_()
    decoder.log_prob(images(5), z).sum().backward()
    for name, parameter in decoder.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
    assert (z.grad.abs().sum(-1) > 0).all()


@pytest.mark.parametrize("leading", [(2,), (2, 3), (2, 3, 4)])
@every_model
def test_all_leading_axes_are_one_batch(model, leading):
    decoder, z = made(model).eval(), codes(*leading)
    mean = decoder.mean(z)
    assert mean.shape == decoder.sample(z).shape == (*leading, *SHAPE)
    torch.testing.assert_close(decoder.mean(z.flatten(0, -2)).view_as(mean), mean)


@every_model
def test_samples_have_the_moments(model):
    decoder, z = made(model), codes(2)
    mean, log_variance = decoder.moments(z)
    torch.manual_seed(0)
    drawn = decoder.sample(z.expand(10_000, 2, LATENT)).detach()
    assert within(drawn, mean.detach())
    assert within((drawn - mean.detach()).square(), log_variance.exp().detach().expand_as(mean))


def test_the_output_is_as_asked():
    z = 20 * codes(50)
    raw, squashed = made("fixed", "identity").mean(z), made("fixed", "sigmoid").mean(z)
    torch.testing.assert_close(torch.sigmoid(raw), squashed)
    assert raw.min() < 0 or raw.max() > 1
    with pytest.raises(ValueError, match="output is 'tanh'; expected identity or sigmoid"):
        GaussianDecoder(nn.Identity(), 1, "tanh", None)


def test_without_a_variance_there_is_a_mean_and_no_density():
    decoder, x, z = made("none"), images(5), codes(1, 5)
    assert decoder.mean(z).shape == (1, 5, *SHAPE) and decoder.constant_variance is None
    for call in (lambda: decoder.log_prob(x, z), lambda: decoder.sample(z)):
        with pytest.raises(TypeError, match="without a variance"):
            call()


def test_a_fixed_variance_is_saved_and_not_trained():
    decoder = made("fixed")
    assert "variance.log_variance" in decoder.state_dict()
    assert "variance.log_variance" not in dict(decoder.named_parameters())
