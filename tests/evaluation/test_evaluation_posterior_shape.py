"""Mean and covariance of aggregated posteriors, against NumPy."""

import math

import numpy as np
import pytest
import torch
from fixtures import METHOD_CASES, build, text_dataset
from parrots import parrot

from vaebench.evaluation import encoding
from vaebench.evaluation.latents import posterior_shape

DATA = text_dataset(test=40)
LATENT = 3


def made(posterior):
    """A VAE whose posteriors are no trifles."""
    wanted = {"posterior": posterior, "prior": "gaussian", "ramp": 0}
    case = next(
        case
        for case in METHOD_CASES
        if case.name == "igp_text.vae" and wanted.items() <= case.values.items()
    )
    model = build(case, DATA).model.eval().requires_grad_(False)
    for values in model.head.parameters():
        values.normal_(generator=torch.Generator().manual_seed(values.numel()))
    return model


def shape_of(z):
    """||E[z]||^2 and log det Cov[z]."""
    sign, determinant = np.linalg.slogdet(np.cov(z, rowvar=False))
    assert sign == 1
    return float(np.square(z.mean(0)).sum()), float(determinant)


def posteriors(model):
    """Means and log variances in the order of the data, a sentence at a time."""
    found = [model.infer(DATA.test.take(torch.tensor([i])).x) for i in range(len(DATA.test))]
    means = torch.cat([q.mean for q in found]).double()
    return means, torch.cat([q.log_variance for q in found]).double()


@pytest.mark.parametrize("posterior", ["diagonal", "isotropic"])
@pytest.mark.parametrize("repeats", [1, 4])
def test_it_is_that_of_a_draw_a_sentence_and_the_mean_over_repeats(posterior, repeats, monkeypatch):
    monkeypatch.setattr(encoding, "_SENTENCES", 5)
    model = made(posterior)
    torch.manual_seed(8)
    found = posterior_shape(model, DATA, repeats=repeats)
    means, log_variances = posteriors(model)
    assert log_variances.shape[1] == (1 if posterior == "isotropic" else LATENT)
    torch.manual_seed(8)
    told = []
    for _ in range(repeats):
        noise = torch.randn(1, *means.shape)[0].double()
        told.append(shape_of((means + torch.exp(log_variances / 2) * noise).numpy()))
    assert len(set(told)) == repeats
    norm, determinant = np.mean(told, axis=0)
    assert found["squared_norm"] == pytest.approx(norm, rel=1e-5)
    assert found["log_determinant"] == pytest.approx(determinant, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("repeats", [1, 3])
def test_codes_without_noise_are_their_own_draws(repeats):
    model = parrot(DATA.info.vocabulary)
    weights = torch.randn(12, LATENT, generator=torch.Generator().manual_seed(0))
    forward = model.encoder.forward
    model.encoder.forward = lambda x: forward(x) @ weights
    codes = [model.infer(DATA.test.take(torch.tensor([i])).x).mean for i in range(len(DATA.test))]
    norm, determinant = shape_of(torch.cat(codes).double().numpy())
    found = posterior_shape(model, DATA, repeats=repeats)
    assert found["squared_norm"] == pytest.approx(norm, rel=1e-5)
    assert found["log_determinant"] == pytest.approx(determinant, rel=1e-5)


def test_a_collapsed_posterior_is_the_prior():
    """Then the mean is near zero and the covariance near the identity."""
    model = made("diagonal")
    for values in model.head.parameters():
        values.zero_()
    torch.manual_seed(0)
    found = posterior_shape(model, text_dataset(test=4_000), repeats=2)
    assert found["squared_norm"] < LATENT * 25 / 4_000
    assert abs(found["log_determinant"]) < 5 * math.sqrt(2 * LATENT / 4_000)
