"""The ELBO and the reconstruction loss: sums, bounds and quadrature on tiny models."""

import math
from itertools import pairwise

import pytest
import torch
from fixtures import HEADS, binary_images, gradients, random_batch, tiny_model, within
from torch.distributions import Independent, Normal, kl_divergence
from torch.nn import functional as F

from vaebench.data.dataset import Batch
from vaebench.objectives.elbo import negative_elbo, reconstruction
from vaebench.objectives.iwae import ImportanceWeighted

GAUSSIAN = [name for name in HEADS if name != "deterministic"]
gaussian_heads = pytest.mark.parametrize("head", GAUSSIAN)

GRID = torch.linspace(-20, 20, 8001, dtype=torch.float64).view(-1, 1, 1)
LOG_CELL = math.log(40 / 8000)


def on_grid(model, x):
    """log p(x, z) on the grid, for models with one latent dimension: [G, B]."""
    z = GRID.expand(-1, len(x), 1)
    with torch.no_grad():
        return model.prior.log_prob(z) + model.decoder.log_prob(x, z)


def log_evidence(model, x):
    """log p(x) by quadrature: [B]."""
    return torch.logsumexp(on_grid(model, x) + LOG_CELL, dim=0)


def exact_elbo(model, x):
    """E_q[log p(x, z) - log q(z|x)] by quadrature: [B]."""
    with torch.no_grad():
        log_q = model.infer(x).log_prob(GRID.expand(-1, len(x), 1))
    return ((on_grid(model, x) - log_q) * torch.exp(log_q + LOG_CELL)).sum(0)


def model_and_image(head, seed=0):
    model = tiny_model(head, latent=1, seed=seed, scale=2.0).double()
    return model, random_batch(1, seed=seed).x.round()


def repeated(objective, model, x, key, copies=1000, times=40):
    """A term on many copies of one image, so that it is a mean over the noise: [times]."""
    batch = Batch(x.expand(copies, *x.shape[1:]), torch.zeros(copies, dtype=torch.int64))
    torch.manual_seed(0)
    with torch.no_grad():
        return torch.stack([objective(model, batch, 1)[key] for _ in range(times)])


@gaussian_heads
def test_the_loss_is_rec_plus_kl_by_the_book(head):
    model, batch = tiny_model(head).double(), random_batch(6)
    torch.manual_seed(7)
    terms = negative_elbo(model, batch, 1)
    assert set(terms) == {"loss", "rec", "kl"}
    assert all(term.shape == () for term in terms.values())
    assert torch.equal(terms["loss"], terms["rec"] + terms["kl"])
    torch.manual_seed(7)
    posterior = model.infer(batch.x)
    q = Independent(Normal(posterior.mean, posterior.variance.sqrt()), 1)
    prior = Independent(Normal(torch.zeros(6, 2), torch.ones(6, 2)), 1)
    torch.testing.assert_close(terms["kl"], kl_divergence(q, prior).mean().double())
    logits = model.decoder.logits(posterior.rsample(1))[0]
    rec = F.binary_cross_entropy_with_logits(logits, batch.x.flatten(1), reduction="sum") / 6
    torch.testing.assert_close(terms["rec"], rec)


@gaussian_heads
def test_the_gradient_is_that_of_rec_plus_kl_and_reaches_everything(head):
    model, batch = tiny_model(head).double(), random_batch(6)
    torch.manual_seed(7)
    negative_elbo(model, batch, 1)["loss"].backward()
    whole = gradients(model)
    model.zero_grad()
    for key in ("rec", "kl"):
        torch.manual_seed(7)
        negative_elbo(model, batch, 1)[key].backward()
    for name, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, whole[name])
        assert gradient.abs().sum() > 0, name


@gaussian_heads
@pytest.mark.parametrize("seed", range(3))
def test_the_elbo_is_its_integral_and_below_the_log_likelihood(head, seed):
    model, x = model_and_image(head, seed)
    found = -repeated(negative_elbo, model, x, "loss")
    assert within(found, exact_elbo(model, x).item())
    # These untrained posteriors are so far from the true ones that the gap is easily seen.
    assert exact_elbo(model, x) < log_evidence(model, x) - 0.005
    assert found.mean() < log_evidence(model, x)


@pytest.mark.parametrize("seed", range(3))
def test_the_whole_model_is_a_distribution_over_binary_images(seed):
    model = tiny_model(latent=1, seed=seed, scale=2.0).double()
    total = log_evidence(model, binary_images()).exp().sum()
    torch.testing.assert_close(total, torch.ones_like(total), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("head", HEADS)
def test_reconstruction_is_the_cross_entropy_alone(head):
    model, batch = tiny_model(head).double(), random_batch(6)
    torch.manual_seed(7)
    terms = reconstruction(model, batch, 1)
    assert set(terms) == {"loss", "rec"} and torch.equal(terms["loss"], terms["rec"])
    torch.manual_seed(7)
    logits = model.decoder.logits(model.infer(batch.x).rsample(1))[0]
    expected = F.binary_cross_entropy_with_logits(logits, batch.x.flatten(1), reduction="sum") / 6
    torch.testing.assert_close(terms["loss"], expected)


def test_an_autoencoder_is_deterministic_and_has_no_elbo():
    model, batch = tiny_model("deterministic").double(), random_batch(6)
    torch.manual_seed(0)
    first = reconstruction(model, batch, 1)["loss"]
    torch.manual_seed(1)
    assert torch.equal(reconstruction(model, batch, 1)["loss"], first)
    first.backward()
    assert all(gradient.abs().sum() > 0 for gradient in gradients(model).values())
    with pytest.raises(TypeError, match="reconstruction"):
        negative_elbo(model, batch, 1)


@gaussian_heads
def test_the_importance_bound_grows_with_k_up_to_the_log_likelihood(head):
    model, x = model_and_image(head)
    exact = log_evidence(model, x).item()
    bounds = [
        -repeated(ImportanceWeighted(k), model, x, "bound", copies=max(20, 2000 // k))
        for k in (1, 2, 8, 64, 500)
    ]
    assert within(bounds[0], exact_elbo(model, x).item())  # k = 1 is the ELBO
    for lower, higher in pairwise(bounds):
        error = (lower.var() + higher.var()).sqrt() / len(lower) ** 0.5
        assert higher.mean() > lower.mean() - 3 * error
        assert higher.mean() < exact + 3 * error
    error = (bounds[0].var() + bounds[2].var()).sqrt() / len(bounds[0]) ** 0.5
    assert bounds[2].mean() > bounds[0].mean() + 5 * error
    assert abs(bounds[-1].mean() - exact) < 0.02 * (exact - bounds[0].mean()).abs() + 1e-3
