"""AR-ELBO on linear models, whose optima are known in closed form.

Expectations are exact: the data are points with the wanted covariance, and z takes the points
mean +- sqrt(K) std e_j, which integrate every quadratic.
"""

import pytest
import torch
from torch import nn

from vaebench.data.dataset import Batch
from vaebench.estimators import gaussian
from vaebench.models.gaussian_decoder import GaussianDecoder, SharedVariance, variance_of_form
from vaebench.models.heads import GlobalGaussianHead
from vaebench.models.latent import LatentModel
from vaebench.models.posteriors import GaussianDraws, GaussianPosterior
from vaebench.models.priors import StandardGaussian
from vaebench.objectives.gaussian import Adaptive, fixed_variance, trained_variance

F64 = torch.float64
EIGENVALUES = torch.tensor([2.0, 0.5, 0.3], dtype=F64)


def linear_model(latent, variance=None, seed=0):
    """Affine encoder and decoder of images (1, 1, 3), one trainable sigma_z^2."""
    torch.manual_seed(seed)
    pixels = len(EIGENVALUES)
    network = nn.Sequential(nn.Linear(latent, pixels), nn.Unflatten(1, (1, 1, pixels)))
    return LatentModel(
        nn.Flatten(),
        GlobalGaussianHead(pixels, latent, log_variance=0.0, trainable=True),
        StandardGaussian(latent),
        GaussianDecoder(network, 1, "identity", variance),
    ).double()


def fixed(sigma_x2):
    return SharedVariance(torch.tensor(sigma_x2, dtype=F64).log(), trainable=False)


@pytest.fixture
def exact(monkeypatch):
    """Makes the expectation over z exact; gives the batch, by latent size, that goes with it."""

    def draw(posterior, samples):
        latent = posterior.mean.shape[1]
        axes = latent**0.5 * torch.eye(latent, dtype=F64)
        noise = torch.cat([axes, -axes]).repeat_interleave(len(posterior.mean) // (2 * latent), 0)
        z = posterior.mean + posterior.variance.sqrt() * noise
        return GaussianDraws(posterior, z.unsqueeze(0))

    monkeypatch.setattr(GaussianPosterior, "draw", draw)

    def batch(latent):
        corners = torch.diag((len(EIGENVALUES) * EIGENVALUES).sqrt())
        points = torch.cat([corners, -corners]).repeat(2 * latent, 1)
        return Batch(points.view(-1, 1, 1, len(EIGENVALUES)), torch.zeros(len(points)))

    return batch


def optimise(model, objective, batch):
    optimizer = torch.optim.LBFGS(
        model.parameters(),
        max_iter=2000,
        tolerance_grad=1e-12,
        tolerance_change=1e-16,
        line_search_fn="strong_wolfe",
    )

    def closure():
        optimizer.zero_grad()
        loss = objective(model, batch, 1)["loss"]
        loss.backward()
        return loss

    optimizer.step(closure)


def test_the_expectation_is_exact(exact):
    """The squared error of an affine decoder is that at the mean plus sigma_z^2 ||J||_F^2."""
    model, batch = linear_model(2, fixed(1.0)), exact(2)
    found = fixed_variance(model, batch, 1)["squared_error"]
    at_the_mean = (batch.x - model.decoder.mean(model.infer(batch.x).mean)).square()
    jacobian = model.decoder.network[0].weight
    expected = at_the_mean.flatten(1).sum(1).mean() + jacobian.square().sum()
    torch.testing.assert_close(found, expected)


# The KL of one variance, and where it is least.


@pytest.mark.parametrize(("sigma_z2", "expected"), [(10, 26.7897), (10**0.9, 19.48), (1, 0.0)])
def test_the_kl_of_a_collapsed_posterior(sigma_z2, expected):
    """The two collapsed rows of Table 5, which say that its latent space has 8 dimensions."""
    log_variance = torch.tensor([[sigma_z2]], dtype=F64).log()
    found = gaussian.kl_to_standard(torch.zeros(1, 8, dtype=F64), log_variance)
    assert float(found) == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize("sigma_z2", [0.05, 0.8])
def test_no_rescaling_lowers_the_kl_where_codes_and_variance_fill_the_prior(sigma_z2):
    """The least KL over c of (c mu, c sigma_z) is where c^2 (E||mu||^2 + K sigma_z^2) = K."""
    mean = torch.randn(50, 8, dtype=F64, generator=torch.Generator().manual_seed(0))
    best = (8 / (mean.square().sum(1).mean() + 8 * sigma_z2)).sqrt()

    def kl(c):
        return gaussian.kl_to_standard(c * mean, (c.square() * sigma_z2).log().view(1, 1)).mean()

    c = best.clone().requires_grad_()
    (slope,) = torch.autograd.grad(kl(c), c)
    assert abs(slope) < 1e-12
    assert all(kl(best * factor) > kl(best) for factor in (0.5, 0.95, 1.05, 2.0))
    # There, KL = -(K/2) ln of the rescaled sigma_z^2: the health check of Table 1.
    expected = -4 * (best.square() * sigma_z2).log()
    torch.testing.assert_close(kl(best), expected)


@pytest.mark.parametrize("sigma_x2", [0.1, 1.0])
def test_the_stationary_sigma_z2_given_the_rest(exact, sigma_x2):
    """Eq. 4 with the KL: sigma_z^2 = 1 / (1 + ||J||_F^2 / (K sigma_x^2))."""
    model, batch = linear_model(2, fixed(sigma_x2)), exact(2)
    jacobian = model.decoder.network[0].weight
    stationary = 1 / (1 + jacobian.square().sum() / (2 * sigma_x2))

    def slope(sigma_z2):
        with torch.no_grad():
            model.head.log_variance.fill_(sigma_z2.log())
        loss = fixed_variance(model, batch, 1)["loss"]
        return torch.autograd.grad(loss, model.head.log_variance)[0].item()

    assert slope(stationary) == pytest.approx(0, abs=1e-12)
    assert slope(0.9 * stationary) < -1e-3 < 1e-3 < slope(1.1 * stationary)


# Global optima.


@pytest.mark.parametrize("sigma_x2", [3.0, 1.5, 0.5, 0.1, 0.01])
def test_oversmoothing_of_a_linear_vae(exact, sigma_x2):
    """Theorem 3 in closed form: sigma_z^2 = min(1, sigma_x^2 / v_1), and exact collapse where
    sigma_x^2 is not below the largest eigenvalue v_1 of the data."""
    model, largest = linear_model(1, fixed(sigma_x2)), EIGENVALUES[0].item()
    optimise(model, fixed_variance, exact(1))
    w = model.decoder.network[0].weight.detach()[:, 0]
    slope = model.head.mean.weight.detach()[0]
    sigma_z2 = model.head.log_variance.detach().exp().item()
    w2 = max(largest - sigma_x2, 0)
    assert w.square().sum().item() == pytest.approx(w2, abs=1e-3)
    torch.testing.assert_close(slope, w / largest, rtol=0, atol=1e-3)
    assert w[1:].abs().max() < 1e-3
    assert sigma_z2 == pytest.approx(min(1, sigma_x2 / largest), rel=1e-3)


@pytest.mark.parametrize("trained", [False, True])
def test_ar_elbo_finds_probabilistic_pca(exact, trained):
    """sigma_x^2 is the mean of the discarded eigenvalues, with a trained variance as well."""
    model = linear_model(1, variance_of_form("Iso-I", (1, 1, 3)) if trained else None)
    objective = trained_variance if trained else Adaptive("Iso-I", 0.0)
    optimise(model, objective, exact(1))
    found = objective(model, exact(1), 1)["sigma_x2"].detach()
    discarded = EIGENVALUES[1:].mean().item()
    assert float(found) == pytest.approx(discarded, rel=1e-6)
    sigma_z2 = model.head.log_variance.detach().exp().item()
    assert sigma_z2 == pytest.approx(discarded / EIGENVALUES[0].item(), rel=1e-6)
    w = model.decoder.network[0].weight.detach()[:, 0]
    assert w.square().sum().item() == pytest.approx(2 - discarded, rel=1e-6)
