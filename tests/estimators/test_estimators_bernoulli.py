"""The Bernoulli log-likelihood against torch's cross-entropy and against calculus."""

import os
import shutil

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from vaebench.estimators.bernoulli import linear_log_likelihood, log_likelihood

law = settings(deadline=None, max_examples=25)
sizes = st.integers(1, 6)
cases = st.tuples(st.integers(0, 2**32 - 1), sizes, sizes, st.integers(1, 40))

EXTREME = [0.0, 1e-8, 1e-3, 1.0, 5.0, 17.0, 40.0, 90.0, 1e3, 1e4]
# What the vectorised logarithm may lose, a pixel (see the function).
LOST = 6e-8


def draw(case, dtype, binary=False, scale=4.0):
    """Logits [S, B, D] and pixels [B, D], real or binary."""
    seed, samples, batch, pixels = case
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(samples, batch, pixels, dtype=dtype, generator=generator)
    x = torch.rand(batch, pixels, dtype=dtype, generator=generator)
    return logits, x.round() if binary else x


def plain(logits, x):
    """The same with torch's own cross-entropy."""
    entropy = F.binary_cross_entropy_with_logits(logits, x.expand_as(logits), reduction="none")
    return -entropy.sum(-1)


@law
@given(cases, st.booleans())
def test_it_is_minus_the_cross_entropy_in_double(case, binary):
    logits, x = draw(case, torch.float64, binary)
    torch.testing.assert_close(log_likelihood(logits, x), plain(logits, x), rtol=1e-13, atol=1e-13)


@law
@given(cases, st.booleans())
def test_single_precision_loses_no_more_than_it_says(case, binary):
    logits, x = draw(case, torch.float32, binary)
    exact = plain(logits.double(), x.double())
    # Rounding of products and sums: two units in the last place a pixel, of its largest part.
    rounding = 2 * torch.finfo(torch.float32).eps * (1 + 2 * logits.abs().double()).sum(-1)
    allowed = LOST * logits.shape[-1] + rounding
    assert log_likelihood(logits, x).dtype == torch.float32
    assert ((log_likelihood(logits, x).double() - exact).abs() <= allowed).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("pixel", [0.0, 1.0, 0.5, 0.3, 1 / 255])
def test_extreme_logits(dtype, pixel):
    values = torch.tensor([-value for value in EXTREME] + EXTREME, dtype=dtype)
    logits = values.view(1, -1, 1).requires_grad_()
    x = torch.full((len(values), 1), pixel, dtype=dtype)
    found = log_likelihood(logits, x)
    exact = plain(logits.detach().double(), x.double())
    # Relative to the logit and not to the result: x l and the softplus may cancel.
    rounding = 2 * torch.finfo(dtype).eps * (1 + values.abs().double())
    assert ((found.detach() - exact).abs() <= LOST * (dtype == torch.float32) + rounding).all()
    found.sum().backward()
    expected = x.double() - torch.sigmoid(values.double()).unsqueeze(-1)
    torch.testing.assert_close(logits.grad[0].double(), expected, rtol=0, atol=2e-7)


@law
@given(cases, st.booleans())
def test_the_gradient_is_that_of_the_plain_formula(case, binary):
    logits, x = draw(case, torch.float64, binary)
    weights = torch.randn(logits.shape[:-1], dtype=torch.float64)  # as importance weights do
    ours, theirs = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    (log_likelihood(ours, x) * weights).sum().backward()
    (plain(theirs, x) * weights).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-11, atol=1e-13)


@pytest.mark.skipif(
    shutil.which(os.environ.get("CXX", "g++")) is None, reason="torch.compile needs a C++ compiler"
)
def test_compiled_it_is_the_same(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    logits, x = draw((0, 3, 4, 50), torch.float32)
    weights = torch.randn(3, 4)
    compiled = torch.compile(lambda logits, x: log_likelihood(logits, x), fullgraph=True)
    found, gradients = [], []
    for likelihood in (compiled, log_likelihood):
        leaf = logits.clone().requires_grad_()
        found.append(likelihood(leaf, x))
        (found[-1] * weights).sum().backward()
        gradients.append(leaf.grad)
    torch.testing.assert_close(found[0], found[1])
    torch.testing.assert_close(gradients[0], gradients[1])


def test_the_gradient_is_that_of_finite_differences():
    logits, x = draw((0, 2, 3, 4), torch.float64)
    assert torch.autograd.gradcheck(
        lambda values: log_likelihood(values, x), logits.requires_grad_()
    )


def test_the_second_derivative_is_that_of_the_plain_formula():
    logits, x = draw((0, 2, 3, 4), torch.float64)
    assert torch.autograd.gradgradcheck(
        lambda values: log_likelihood(values, x), logits.requires_grad_()
    )
    weights = torch.randn(4, 5, dtype=torch.float64).requires_grad_()
    z = torch.randn(2, 3, 5, dtype=torch.float64).requires_grad_()
    penalties = []
    for likelihood in (log_likelihood, plain):  # as a penalty on the gradient by the code needs it
        total = likelihood(z @ weights.T, x).sum()
        (slope,) = torch.autograd.grad(total, z, create_graph=True)
        penalties.append(torch.autograd.grad(slope.square().sum(), weights)[0])
    torch.testing.assert_close(penalties[0], penalties[1])


@law
@given(cases)
def test_memory_layout_does_not_matter(case):
    logits, x = draw(case, torch.float64)
    expected = log_likelihood(logits, x)
    columns = logits.permute(2, 1, 0).contiguous().permute(2, 1, 0).requires_grad_()
    found = log_likelihood(columns, x.T.contiguous().T)
    torch.testing.assert_close(found, expected, rtol=1e-14, atol=1e-14)
    found.sum().backward()  # an expanded gradient, without memory of its own
    torch.testing.assert_close(columns.grad, x - torch.sigmoid(logits))


@law
@given(cases, st.booleans())
def test_samples_and_data_do_not_mix(case, binary):
    logits, x = draw(case, torch.float64, binary)
    found = log_likelihood(logits, x)
    for sample in range(logits.shape[0]):
        for datum in range(logits.shape[1]):
            one = log_likelihood(logits[sample, datum].view(1, 1, -1), x[datum].view(1, -1))
            torch.testing.assert_close(found[sample, datum], one[0, 0], rtol=1e-13, atol=1e-13)


@law
@given(cases)
def test_real_pixels_are_scored_between_the_binary_ones_and_below_their_entropy(case):
    logits, x = draw(case, torch.float64)
    found = log_likelihood(logits, x)
    # Linear in x, so an average of binary images scores the average of their scores.
    ends = log_likelihood(logits, torch.ones_like(x)), log_likelihood(logits, torch.zeros_like(x))
    mixed = log_likelihood(logits, 0.25 * x + 0.75) - 0.25 * found
    torch.testing.assert_close(mixed, 0.75 * ends[0], rtol=1e-10, atol=1e-10)
    best = log_likelihood(torch.logit(x, 1e-12).unsqueeze(0), x)
    assert (found <= best + 1e-9).all() and (best < 0).all()


# The likelihood with its output layer.


def layer(case, dtype):
    """Features [S, B, 3], weight [D, 3], bias [D] and pixels [B, D]."""
    logits, x = draw(case, dtype)
    generator = torch.Generator().manual_seed(case[0])
    h, weight, bias = (
        torch.randn(*shape, dtype=dtype, generator=generator)
        for shape in ((*logits.shape[:2], 3), (logits.shape[-1], 3), (logits.shape[-1],))
    )
    return h, weight, bias, x


@law
@given(cases)
def test_with_its_layer_it_is_the_likelihood_of_the_logits(case):
    h, weight, bias, x = layer(case, torch.float64)
    parts = [h, weight, bias]
    outer = torch.randn(h.shape[:2], dtype=torch.float64)
    results = []
    for likelihood in (linear_log_likelihood, lambda *p: log_likelihood(F.linear(*p[:3]), p[3])):
        leaves = [part.clone().requires_grad_() for part in parts]
        value = likelihood(*leaves, x)
        (value * outer).sum().backward()
        results.append([value, *(leaf.grad for leaf in leaves)])
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-12)


def test_with_its_layer_both_derivatives_are_those_of_finite_differences():
    *parts, x = layer((0, 2, 3, 4), torch.float64)
    leaves = [part.requires_grad_() for part in parts]
    assert torch.autograd.gradcheck(lambda *p: linear_log_likelihood(*p, x), leaves)
    assert torch.autograd.gradgradcheck(lambda *p: linear_log_likelihood(*p, x), leaves)


@pytest.mark.skipif(
    shutil.which(os.environ.get("CXX", "g++")) is None, reason="torch.compile needs a C++ compiler"
)
def test_with_its_layer_it_is_the_same_compiled(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    *parts, x = layer((0, 3, 4, 50), torch.float32)
    weights = torch.randn(3, 4)
    compiled = torch.compile(lambda *p: linear_log_likelihood(*p), fullgraph=True)
    results = []
    for likelihood in (compiled, linear_log_likelihood):
        leaves = [part.clone().requires_grad_() for part in parts]
        value = likelihood(*leaves, x)
        (value * weights).sum().backward()
        results.append([value, *(leaf.grad for leaf in leaves)])
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected)
