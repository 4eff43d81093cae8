"""Tanh is tanh and elu is ELU, to what they say they lose, and so are their derivatives."""

import torch
from torch.nn import functional as F

from vaebench.models.activations import Tanh, elu


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


def test_the_error_of_elu_is_at_most_what_it_says():
    sizes = torch.logspace(-12, 2, 20_000)
    x = torch.cat([torch.linspace(-30, 5, 200_001), sizes, -sizes])
    found, exact = elu(x), F.elu(x.double())
    assert found.dtype == torch.float32
    assert float((found.double() - exact)[x <= 0].abs().max()) <= 1e-7
    assert torch.equal(found[x > 0], x[x > 0])
    extreme = torch.tensor([-torch.inf, -1e30, 0.0, 1e30, torch.inf])
    assert torch.equal(elu(extreme), F.elu(extreme))
    assert elu(torch.tensor([torch.nan])).isnan().all()


def test_elu_is_torchs_in_bfloat16():
    x = torch.linspace(-3, 3, 1_000).bfloat16()
    assert torch.equal(elu(x), F.elu(x))


def test_the_derivatives_of_elu_are_those_of_finite_differences():
    x = torch.linspace(-3, 3, 14, dtype=torch.float64).requires_grad_()
    assert torch.autograd.gradcheck(elu, x)
    assert torch.autograd.gradgradcheck(elu, x)
    x = torch.linspace(-20, 5, 1_001).requires_grad_()
    (found,) = torch.autograd.grad(elu(x).sum(), x)
    (expected,) = torch.autograd.grad(F.elu(x).sum(), x)
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-7)
