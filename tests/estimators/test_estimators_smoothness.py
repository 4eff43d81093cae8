"""Jacobians and gaps against autograd and closed forms."""

import pytest
import torch
from fixtures import within
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from vaebench.estimators.smoothness import squared_gaps, squared_jacobian_norms
from vaebench.models.activations import Tanh

F64 = torch.float64


def decoder(latent=3, seed=0):
    """A small network of the kinds of layers that decoders have, [N, K] -> [N, 1, 8, 8]."""
    torch.manual_seed(seed)
    layers = nn.Sequential(
        nn.Linear(latent, 16),
        nn.BatchNorm1d(16),
        nn.ReLU(),
        Tanh(),
        nn.Unflatten(1, (4, 2, 2)),
        nn.ConvTranspose2d(4, 3, 4, 2, 1),
        nn.BatchNorm2d(3),
        nn.ReLU(),
        nn.ConvTranspose2d(3, 1, 5, 2, 2, output_padding=1),
        nn.Sigmoid(),
    )
    for layer in layers:
        if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d)):
            nn.init.uniform_(layer.running_mean, -0.2, 0.2)
            nn.init.uniform_(layer.running_var, 0.5, 2)
    return layers.double().eval()


@pytest.mark.parametrize("latent", [1, 3, 5])
def test_jacobian_norms_are_those_of_autograd(latent):
    net = decoder(latent)
    z = torch.randn(4, latent, dtype=F64, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        found = squared_jacobian_norms(net, z)
    for code, norm in zip(z, found, strict=True):
        jacobian = torch.autograd.functional.jacobian(lambda c: net(c[None]).flatten(), code)
        assert float(norm) == pytest.approx(float(jacobian.square().sum()), rel=1e-10)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5), st.integers(1, 7))
def test_of_an_affine_decoder_it_is_its_matrix(seed, latent, pixels):
    generator = torch.Generator().manual_seed(seed)
    weight = torch.randn(latent, pixels, dtype=F64, generator=generator)
    z = torch.randn(3, latent, dtype=F64, generator=generator)
    found = squared_jacobian_norms(lambda code: code @ weight + 1, z)
    torch.testing.assert_close(found, weight.square().sum().expand(3))


@pytest.mark.parametrize("variance", [1e-2, 1e-3, 2.0])
def test_the_gap_of_an_affine_decoder_is_twice_the_variance_times_its_norm(variance):
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(3, 8, dtype=F64, generator=generator)
    means, noise = (
        torch.zeros(50_000, 3, dtype=F64),
        torch.randn(2, 50_000, 3, dtype=F64, generator=generator),
    )
    found = squared_gaps(lambda code: code @ weight + 1, means, noise, variance)
    assert within(found, 2 * variance * weight.square().sum())


def test_the_gap_is_the_squared_distance_of_the_two_decodings():
    net = decoder()
    generator = torch.Generator().manual_seed(0)
    means = torch.randn(6, 3, dtype=F64, generator=generator)
    noise = torch.randn(2, 6, 3, dtype=F64, generator=generator)
    with torch.no_grad():
        found = squared_gaps(net, means, noise, 0.25)
        for row in range(6):
            one, other = net(means[row] + 0.5 * noise[:, row]).flatten(1)
            assert float(found[row]) == pytest.approx(float((one - other).square().sum()))
    assert squared_gaps(net, means, noise[:1].expand(2, 6, 3), 0.25).eq(0).all()
