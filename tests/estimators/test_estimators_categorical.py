"""The log-likelihood of classes against torch's cross-entropy and against calculus."""

import pytest
import torch
from fixtures import Largest
from torch.nn import functional as F

from vaebench.estimators import categorical
from vaebench.estimators.categorical import linear_log_likelihood

F64 = torch.float64
ROWS, FEATURES, CLASSES = 11, 3, 7
equal = pytest.mark.parametrize("equal", [True, False])


@pytest.fixture(params=[1, 4, 5, 100], autouse=True)
def chunks(request, monkeypatch):
    """So many rows at a time, in blocks of two."""
    monkeypatch.setattr(categorical, "_LOGITS", request.param * CLASSES)
    monkeypatch.setattr(categorical, "_BLOCK", 2 * CLASSES)


def draw(dtype=F64, rows=ROWS):
    """Features, weight and targets."""
    generator = torch.Generator().manual_seed(0)
    h = torch.randn(rows, FEATURES, dtype=dtype, generator=generator)
    weight = torch.randn(CLASSES, FEATURES, dtype=dtype, generator=generator)
    targets = torch.randint(CLASSES, (rows,), generator=generator)
    return h.requires_grad_(), weight.requires_grad_(), targets


def plain(h, weight, targets):
    return -F.cross_entropy(F.linear(h, weight), targets, reduction="none")


def gradients(function, weights, h, weight, targets):
    return torch.autograd.grad((function(h, weight, targets) * weights).sum(), [h, weight])


@equal
def test_it_is_minus_the_cross_entropy(equal):
    found = linear_log_likelihood(*draw(), equal=equal)
    torch.testing.assert_close(found, plain(*draw()), rtol=1e-13, atol=1e-13)
    with torch.no_grad():
        assert torch.equal(linear_log_likelihood(*draw(), equal=equal), found)


@equal
@pytest.mark.parametrize("weights", ["one", "equal", "different"])
def test_the_gradient_is_right_whatever_the_rows_weigh(equal, weights):
    outer = {"one": torch.ones(()), "equal": torch.tensor(-0.3), "different": torch.randn(ROWS)}
    parts, outer = draw(), outer[weights].to(F64)
    found = gradients(lambda *p: linear_log_likelihood(*p, equal=equal), outer, *parts)
    for ours, theirs in zip(found, gradients(plain, outer, *parts), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-13)


@equal
def test_both_derivatives_are_those_of_finite_differences(equal):
    h, weight, targets = draw(rows=4)

    def function(h, weight):
        return linear_log_likelihood(h, weight, targets, equal=equal)

    assert torch.autograd.gradcheck(function, (h, weight))
    assert torch.autograd.gradgradcheck(function, (h, weight))


@equal
def test_a_second_pass_backwards_gives_the_same(equal):
    h, weight, targets = draw()
    loss = -0.2 * linear_log_likelihood(h, weight, targets, equal=equal).sum()
    first = [
        gradient.clone() for gradient in torch.autograd.grad(loss, [h, weight], retain_graph=True)
    ]
    for again, before in zip(torch.autograd.grad(loss, [h, weight]), first, strict=True):
        torch.testing.assert_close(again, before, rtol=1e-13, atol=1e-14)


def drawn_bias():
    generator = torch.Generator().manual_seed(1)
    return torch.randn(CLASSES, dtype=F64, generator=generator).requires_grad_()


def with_bias(h, weight, bias, targets, equal):
    return linear_log_likelihood(h, weight, targets, equal=equal, bias=bias)


@equal
@pytest.mark.parametrize("weights", ["equal", "different"])
def test_a_bias_is_added_to_the_logits(equal, weights):
    h, weight, targets = draw()
    leaves = h, weight, drawn_bias()
    outer = torch.full((ROWS,), -0.3) if weights == "equal" else torch.randn(ROWS)
    found = with_bias(*leaves, targets, equal)
    expected = -F.cross_entropy(F.linear(*leaves), targets, reduction="none")
    torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-13)
    ours, theirs = (
        torch.autograd.grad((values * outer).sum(), leaves) for values in (found, expected)
    )
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-13)


@equal
def test_with_a_bias_both_derivatives_are_those_of_finite_differences(equal):
    h, weight, targets = draw(rows=4)
    leaves = h, weight, drawn_bias()
    assert torch.autograd.gradcheck(lambda *p: with_bias(*p, targets, equal), leaves)
    assert torch.autograd.gradgradcheck(lambda *p: with_bias(*p, targets, equal), leaves)


def test_logits_far_from_zero_are_no_trouble():
    targets = torch.tensor([0, 1])
    weight, h = torch.tensor([[1.0], [-1.0]]), torch.tensor([[300.0], [300.0]])
    for leaf in (weight, h):
        leaf.requires_grad_()
    found = linear_log_likelihood(h, weight, targets, equal=True)
    torch.testing.assert_close(found, torch.tensor([0.0, -600.0]))
    found.sum().backward()
    torch.testing.assert_close(h.grad, torch.tensor([[0.0], [-2.0]]))


@equal
def test_autocast_rounds_products_and_nothing_else(equal):
    h, weight, targets = draw(torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        found = linear_log_likelihood(h, weight, targets, equal=equal)
    assert found.dtype == torch.float32
    # Two operands and their product, 2^-9 each; a log-softmax moves by twice what its logits do.
    rounding = torch.finfo(torch.bfloat16).eps / 2
    size = (h.abs() @ weight.abs().t()).max(1).values
    error = (found - plain(h, weight, targets)).abs()
    assert (error <= 2 * 3.1 * rounding * size).all() and error.max() > 1e-4
    ours = torch.autograd.grad(found.sum(), [h, weight])
    theirs = gradients(plain, 1.0, h, weight, targets)
    for one, other in zip(ours, theirs, strict=True):
        assert one.dtype == torch.float32
        # So do the logits, by which a softmax moves as much, the slopes and their products.
        assert (one - other).norm() <= 12 * rounding * other.norm()


def test_only_a_chunk_of_logits_is_in_memory(monkeypatch):
    monkeypatch.setattr(categorical, "_LOGITS", 8 * 50)
    h = torch.randn(300, 2, requires_grad=True)
    weight, targets = torch.randn(50, 2, requires_grad=True), torch.randint(50, (300,))
    for outer in (torch.ones(300), torch.rand(300)):
        with Largest() as largest:
            (linear_log_likelihood(h, weight, targets, equal=True) * outer).sum().backward()
        assert largest.numel <= h.numel()
