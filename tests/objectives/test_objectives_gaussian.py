"""The objectives of AR-ELBO and its baselines against densities, and their gradients."""

import math

import pytest
import torch
from fixtures import gradients, random_batch
from torch import nn
from torch.distributions import Independent, Normal, kl_divergence

from vaebench.estimators import mmd, variance_models
from vaebench.estimators.variance_models import FORMS
from vaebench.models.convolutional import ConvolutionalEncoder, ConvolutionalGenerator
from vaebench.models.gaussian_decoder import (
    GaussianDecoder,
    PredictedVariance,
    SharedVariance,
    variance_of_form,
)
from vaebench.models.heads import DeterministicHead, GaussianHead, GlobalGaussianHead
from vaebench.models.latent import LatentModel
from vaebench.models.priors import StandardGaussian
from vaebench.objectives.gaussian import (
    Adaptive,
    deterministic_fixed_variance,
    fixed_variance,
    squared_error,
    trained_variance,
)
from vaebench.objectives.rae import DecoderL2, GradientPenalty
from vaebench.objectives.wae import WaeMmd

SHAPE, LATENT, BATCH = (1, 4, 4), 3, 6
PIXELS = 16
SIGMA_X2 = 0.4
HEADS = {
    "diagonal": lambda features: GaussianHead(features, LATENT, isotropic=False),
    "global": lambda features: GlobalGaussianHead(
        features, LATENT, log_variance=-1.0, trainable=True
    ),
    "fixed": lambda features: GlobalGaussianHead(
        features, LATENT, log_variance=-0.375, trainable=False
    ),
    "deterministic": lambda features: DeterministicHead(features, LATENT),
}
gaussian_heads = pytest.mark.parametrize("head", ["diagonal", "global", "fixed"])
every_form = pytest.mark.parametrize("form", FORMS)


def made(head="diagonal", variance=None, network="plain"):
    """A small model in double precision, no log variance of which is at its start."""
    torch.manual_seed(0)
    encoder = ConvolutionalEncoder(network, SHAPE, 0.1)
    extra = SHAPE[0] if isinstance(variance, PredictedVariance) else 0
    generator = ConvolutionalGenerator(network, LATENT, SHAPE, extra, 0.1)
    model = LatentModel(
        encoder,
        HEADS[head](encoder.features),
        StandardGaussian(LATENT),
        GaussianDecoder(generator, SHAPE[0], "sigmoid", variance),
    ).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def fixed(value=SIGMA_X2):
    return SharedVariance(torch.tensor(math.log(value), dtype=torch.float64), trainable=False)


def batch():
    return random_batch(BATCH, SHAPE)


def called(objective, model, seed=5):
    torch.manual_seed(seed)
    return objective(model, batch(), 1)


def seen(model, seed=5):
    """The posterior, z and the residuals [B, d] of a call with the same noise."""
    torch.manual_seed(seed)
    posterior = model.infer(batch().x)
    z = posterior.rsample(1)[0]
    return posterior, z, (batch().x - model.decoder.mean(z)).flatten(1)


def divergence(posterior):
    q = Independent(Normal(posterior.mean, posterior.variance.sqrt()), 1)
    zeros = torch.zeros(BATCH, LATENT, dtype=torch.float64)
    return kl_divergence(q, Independent(Normal(zeros, zeros + 1), 1)).mean()


def assert_same_gradients(model, one, other, rtol=1e-9):
    """Two functions of a model, each with the same noise, pull every parameter alike."""
    found = []
    for loss in (one, other):
        model.zero_grad()
        loss().backward()
        found.append(gradients(model))
    for name, gradient in found[0].items():
        size = gradient.abs().max().item()
        assert size > 0, name
        torch.testing.assert_close(gradient, found[1][name], rtol=0, atol=rtol * size)


def close(found, expected):
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


# Objectives with a density.


@gaussian_heads
def test_a_fixed_variance_is_the_negative_elbo_but_for_a_constant(head):
    model = made(head, fixed())
    terms = called(fixed_variance, model)
    posterior, _, residuals = seen(model)
    density = Normal(torch.zeros_like(residuals), SIGMA_X2**0.5).log_prob(residuals).sum(1)
    constant = 0.5 * PIXELS * math.log(2 * math.pi * SIGMA_X2)
    close(terms["kl"], divergence(posterior))
    close(terms["rec"], -density.mean() - constant)
    close(terms["loss"], terms["rec"] + terms["kl"])
    close(terms["squared_error"], 2 * SIGMA_X2 * terms["rec"])
    assert float(terms["sigma_x2"]) == pytest.approx(SIGMA_X2)


@every_form
def test_a_trained_variance_is_the_negative_elbo_without_two_pi(form):
    model = made(variance=variance_of_form(form, SHAPE))
    terms = called(trained_variance, model)
    posterior, z, _ = seen(model)
    density = model.decoder.log_prob(batch().x, z.unsqueeze(0)).mean()
    close(terms["rec"], -density - 0.5 * PIXELS * math.log(2 * math.pi))
    close(terms["kl"], divergence(posterior))
    close(terms["loss"], terms["rec"] + terms["kl"])
    mean, log_variance = model.decoder.moments(z)
    close(terms["sigma_x2"], log_variance.exp().expand_as(mean).mean())


@every_form
@gaussian_heads
def test_ar_elbo_is_the_negative_elbo_at_the_mle(form, head):
    """Eq. 9 = Eq. 7 at the MLE, but for the constants of Table 2 and 2 pi."""
    model = made(head)
    terms = called(Adaptive(form, 0.0), model)
    posterior, _, residuals = seen(model)
    variance = variance_models.mle(form, residuals).expand_as(residuals)
    density = Normal(torch.zeros_like(residuals), variance.sqrt()).log_prob(residuals).sum(1)
    left_out = variance_models.constant(form, PIXELS) + 0.5 * PIXELS * math.log(2 * math.pi)
    close(terms["rec"], -density.mean() - left_out)
    close(terms["kl"], divergence(posterior))
    close(terms["loss"], terms["rec"] + terms["kl"])
    close(terms["squared_error"], residuals.square().sum(1).mean())
    close(terms["sigma_x2"], variance.mean())


@pytest.mark.parametrize(
    ("form", "eps", "by_hand"),
    [
        ("Iso-I", 0.1, lambda r: PIXELS / 2 * r.square().sum(1).mean().log()),
        ("Diag-I", 0.1, lambda r: (r.square().mean(0) + 0.1).log().sum() / 2),
        ("Iso-D", 0.1, lambda r: PIXELS / 2 * (r.square().sum(1) + 0.1).log().mean()),
        ("Diag-D", 0.1, lambda r: (r.square() + 0.1).log().sum(1).mean() / 2),
    ],
)
def test_where_eps_stands(form, eps, by_hand):
    model = made()
    close(called(Adaptive(form, eps), model)["rec"], by_hand(seen(model)[2]))


# The gradient of AR-ELBO is that of the VAE whose variance is estimated anew in every step.


@every_form
@pytest.mark.parametrize("eps", [0.0, 1e-3])
def test_the_gradient_is_that_of_the_elbo_at_variances_held_fixed(form, eps):
    model = made()

    def elbo():
        posterior, _, residuals = seen(model)
        squares = residuals.detach().square()
        variance = {
            "Iso-I": squares.sum(1).mean() / PIXELS,
            "Diag-I": squares.mean(0) + eps,
            "Iso-D": (squares.sum(1, keepdim=True) + eps) / PIXELS,
            "Diag-D": squares + eps,
        }[form]
        return (residuals.square() / (2 * variance)).sum(1).mean() + divergence(posterior)

    assert_same_gradients(model, lambda: called(Adaptive(form, eps), model)["loss"], elbo)


def test_ar_elbo_steps_as_a_vae_of_the_variance_it_reports():
    """Eq. 8: the update of the weights at the variance of this very batch."""
    model = made()
    value = float(called(Adaptive("Iso-I", 0.0), model)["sigma_x2"].detach())

    def vae():
        model.decoder.variance = fixed(value)
        loss = called(fixed_variance, model)["loss"]
        model.decoder.variance = None
        return loss

    assert_same_gradients(model, lambda: called(Adaptive("Iso-I", 0.0), model)["loss"], vae)


@pytest.mark.parametrize("factor", [0.2, 0.9, 1.0, 1.1, 5.0])
def test_no_other_variance_beats_the_estimated_one(factor):
    """Eq. 8: J at any s is above J at M / d_x, by d/2 (1/f - 1 + ln f) for s = f M / d_x."""
    model = made()
    terms = called(Adaptive("Iso-I", 0.0), model)
    best = terms["rec"] + variance_models.constant("Iso-I", PIXELS)
    model.decoder.variance = fixed(factor * float(terms["sigma_x2"].detach()))
    log_variance = model.decoder.variance.log_variance
    other = called(fixed_variance, model)["rec"] + 0.5 * PIXELS * log_variance
    close(other - best, 0 * best + 0.5 * PIXELS * (1 / factor - 1 + math.log(factor)))


def test_the_log_of_a_minibatch_mean_is_below_that_of_the_mean():
    """Jensen: smaller batches give a smaller objective, by about Var / (2 B mean^2)."""
    generator = torch.Generator().manual_seed(0)
    residuals = torch.randn(64_000, 4, dtype=torch.float64, generator=generator)
    whole = variance_models.objective("Iso-I", residuals, 0.0)
    errors = residuals.square().sum(1)
    ratio = float(errors.var() / errors.mean().square())
    for size in (8, 64):
        parts = residuals.split(size)
        mean = sum(variance_models.objective("Iso-I", part, 0.0) for part in parts) / len(parts)
        assert float(whole - mean) == pytest.approx(4 / 2 * ratio / (2 * size), rel=0.1)


# Posteriors of one variance.


def test_the_kl_of_a_fixed_posterior_holds_its_constant():
    model = made("fixed")
    mean = model.infer(batch().x).mean
    expected = 0.5 * mean.square().sum(1).mean() + 0.5 * LATENT * (math.exp(-0.375) + 0.375 - 1)
    close(called(Adaptive("Iso-I", 0.0), model)["kl"], expected)


def test_the_deterministic_limit_is_the_elbo_without_its_constant():
    model = made("deterministic", fixed())
    terms = called(deterministic_fixed_variance, model)
    _, z, residuals = seen(model)
    expected = residuals.square().sum(1) / (2 * SIGMA_X2) + z.square().sum(1) / 2
    close(terms["loss"], expected.mean())
    close(terms["loss"], terms["rec"] + terms["penalty"])
    assert "kl" not in terms


def test_a_deterministic_encoder_has_no_elbo():
    for objective in (fixed_variance, trained_variance, Adaptive("Iso-I", 0.0)):
        with pytest.raises(TypeError, match="a posterior with a density"):
            called(objective, made("deterministic", fixed()))


def test_objectives_that_need_a_variance_say_so():
    for objective in (fixed_variance, trained_variance):
        with pytest.raises(TypeError, match="variance"):
            called(objective, made())


# Autoencoders.


def test_an_autoencoder_minimises_the_squared_error():
    model = made("deterministic")
    residuals = seen(model)[2]
    close(called(squared_error, model)["loss"], sum(r.square().sum() for r in residuals) / BATCH)


def test_wae_adds_the_mmd_at_seven_scales():
    model = made("deterministic")
    terms = called(WaeMmd(20.0), model)
    _, z, residuals = seen(model)
    torch.manual_seed(5)
    prior = torch.randn(BATCH, LATENT).double()
    constants = [2 * LATENT * scale for scale in (0.1, 0.2, 0.5, 1, 2, 5, 10)]
    close(terms["mmd"], mmd.imq_mmd(z, prior, constants))
    error = residuals.square().sum(1).mean()
    close(terms["loss"], error + 20 * terms["mmd"])


@pytest.mark.parametrize("network", ["plain", "mnist"])
@pytest.mark.parametrize("dense", [False, True])
def test_rae_l2_is_the_loss_of_its_authors_times_the_pixels(dense, network):
    model = made("deterministic", network=network)
    layers = (nn.ConvTranspose2d, nn.Linear) if dense else (nn.ConvTranspose2d,)
    terms = called(DecoderL2(0.01, 0.02, layers), model)
    _, z, residuals = seen(model)
    dimensions = {2, 4} if dense else {4}  # a dense kernel has two, a convolution's four
    norm = sum(
        parameter.square().sum()
        for name, parameter in model.decoder.named_parameters()
        if name.endswith("weight") and parameter.dim() in dimensions
    )
    authors = residuals.square().mean() + 0.01 * z.square().mean() + 0.02 * norm
    close(terms["loss"], PIXELS * authors)
    close(terms["loss"], terms["squared_error"] + terms["code"] + terms["penalty"])


def slopes(model, z, function):
    """d function(mu(z)) / dz for one image after the other: [B, K]."""
    rows = []
    for code in z.detach():
        code = code.clone().requires_grad_()
        height = function(model.decoder.mean(code.unsqueeze(0)))
        rows.append(torch.autograd.grad(height, code)[0])
    return torch.stack(rows)


def test_the_gradient_penalty_of_the_code_is_that_of_each_image():
    model = made("deterministic")
    terms = called(GradientPenalty(0.01, 0.02, "outputs"), model)
    _, z, residuals = seen(model)
    penalty = slopes(model, z, lambda mean: mean.square().sum()).square().mean()
    authors = residuals.square().mean() + 0.01 * z.square().mean() + 0.02 * penalty
    close(terms["loss"], PIXELS * authors)


def test_the_jacobian_penalty_is_its_frobenius_norm_on_average():
    model = made("deterministic")
    _, z, _ = seen(model)
    jacobians = torch.stack(
        [
            torch.autograd.functional.jacobian(lambda c: model.decoder.mean(c[None])[0], code)
            for code in z.detach()
        ]
    ).view(BATCH, PIXELS, LATENT)
    expected = PIXELS * 0.02 * jacobians.square().sum((1, 2)).mean()
    objective = GradientPenalty(0.01, 0.02, "jacobian")
    with torch.no_grad():
        found = torch.stack([called(objective, model, seed)["penalty"] for seed in range(300)])
    assert abs(found.mean() - expected) < 4 * found.std() / 300**0.5
    assert found.std() < expected  # so that the mean says something
    torch.manual_seed(5)
    v = torch.randn(BATCH, PIXELS, dtype=torch.float64)
    products = torch.einsum("bpk,bp->bk", jacobians, v)
    exact = PIXELS * 0.02 * products.square().sum(1).mean()
    close(called(objective, model)["penalty"].detach(), exact)


@pytest.mark.parametrize("gradient", ["outputs", "jacobian"])
def test_the_gradient_of_the_penalty_is_that_of_differences(gradient):
    """Second derivatives through the decoder, against central differences in one direction."""
    model = made("deterministic")
    objective = GradientPenalty(0.01, 2.0, gradient)
    called(objective, model)["loss"].backward()
    for name, found in gradients(model).items():
        parameter = model.get_parameter(name)
        torch.manual_seed(1)
        direction = torch.randn_like(parameter)
        values = []
        for step in (1e-6, -1e-6):
            with torch.no_grad():
                parameter.add_(step * direction)
                values.append(float(called(objective, model)["loss"]))
                parameter.sub_(step * direction)
        difference = (values[0] - values[1]) / 2e-6
        assert float((found * direction).sum()) == pytest.approx(difference, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("network", ["plain", "mnist"])
@pytest.mark.parametrize("gradient", ["outputs", "jacobian"])
def test_the_penalty_is_the_same_where_no_gradient_is_kept(gradient, network):
    model = made("deterministic", network=network).eval()
    objective = GradientPenalty(0.01, 0.02, gradient)
    expected = called(objective, model)
    with torch.no_grad():
        found = called(objective, model)
    for name, value in found.items():
        assert not value.requires_grad and torch.equal(value, expected[name].detach())
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    assert torch.equal(called(objective, model)["loss"].detach(), found["loss"])
    assert all(parameter.grad is None for parameter in model.parameters())


def test_another_gradient_or_form_is_refused():
    with pytest.raises(ValueError, match="gradient is 'code'; expected outputs or jacobian"):
        GradientPenalty(0.01, 0.02, "code")
    with pytest.raises(ValueError, match="form is 'Iso'"):
        Adaptive("Iso", 0.0)
