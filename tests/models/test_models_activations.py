"""Tanh is tanh, to what it says it loses, and so are its derivatives."""

import torch

from vaebench.models.activations import Tanh


def test_its_error_is_at_most_what_it_says():
    x = torch.cat([torch.linspace(-20, 20, 200_001), torch.logspace(-12, 0, 10_000)])
    exact = torch.tanh(x.double())
    found = Tanh()(x)
    assert found.dtype == torch.float32
    assert float((found.double() - exact).abs().max()) <= 2e-7
    extreme = torch.tensor([-torch.inf, -1e30, 0.0, 1e30, torch.inf])
    assert torch.equal(Tanh()(extreme), torch.tanh(extreme))
    assert Tanh()(torch.tensor([torch.nan])).isnan().all()


def test_it_is_odd_and_stays_within_one():
    x = torch.linspace(0, 30, 10_001)
    found = Tanh()(x)
    assert float((found + Tanh()(-x)).abs().max()) <= 2e-7
    assert float(found.abs().max()) <= 1.0


def test_its_derivatives_are_those_of_finite_differences():
    x = torch.linspace(-3, 3, 13, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(Tanh(), x)
    assert torch.autograd.gradgradcheck(Tanh(), x)
