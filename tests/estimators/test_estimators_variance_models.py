"""AR-ELBO, Table 2: closed forms against numerical ones and against a Gaussian density."""

import math

import pytest
import torch
from torch.distributions import Normal

from vaebench.estimators import variance_models

FORMS = variance_models.FORMS
SIZES = {"Iso-I": (1, 1), "Diag-I": (1, 7), "Iso-D": (5, 1), "Diag-D": (5, 7)}


def residuals(examples=5, pixels=7, seed=0):
    """Residuals of different sizes in every pixel and example, none near zero."""
    generator = torch.Generator().manual_seed(seed)
    shape = (examples, pixels)
    size = 0.05 + torch.rand(shape, dtype=torch.float64, generator=generator)
    sign = torch.rand(shape, generator=generator).sub(0.5).sign()
    return size * sign


def j_of(form, values):
    return variance_models.j_rec(values, variance_models.mle(form, values))


def test_the_four_forms_are_those_of_the_paper():
    assert set(FORMS) == set(SIZES)


@pytest.mark.parametrize("form", FORMS)
def test_the_mle_is_the_mean_square_of_the_residuals_that_share_a_variance(form):
    values = residuals()
    found = variance_models.mle(form, values)
    assert found.shape == SIZES[form]
    for b in range(5):
        for i in range(7):
            rows = range(5) if form.endswith("I") else [b]
            columns = range(7) if form.startswith("Iso") else [i]
            group = [float(values[row, column]) ** 2 for row in rows for column in columns]
            variance = float(found.expand(5, 7)[b, i])
            assert variance == pytest.approx(sum(group) / len(group), rel=1e-12)


@pytest.mark.parametrize("form", FORMS)
def test_j_rec_is_the_negative_log_likelihood_without_its_constant(form):
    values = residuals()
    variance = variance_models.mle(form, values).expand(5, 7) * 1.3
    density = Normal(torch.zeros_like(values), variance.sqrt()).log_prob(values)
    expected = -density.sum(1).mean() - 0.5 * 7 * math.log(2 * math.pi)
    found = variance_models.j_rec(values, variance)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize(("examples", "pixels"), [(1, 1), (5, 7), (6, 784), (2, 12288)])
@pytest.mark.parametrize("form", FORMS)
def test_the_objective_is_j_rec_at_the_mle_less_the_constant(form, examples, pixels):
    values = residuals(examples, pixels)
    expected = variance_models.objective(form, values, 0.0) + variance_models.constant(form, pixels)
    torch.testing.assert_close(j_of(form, values), expected, rtol=1e-12, atol=1e-9)


@pytest.mark.parametrize(
    ("form", "pixels", "expected"),
    [
        ("Iso-I", 784, -2220.448),
        ("Iso-D", 784, -2220.448),
        ("Diag-I", 784, 392),
        ("Diag-D", 784, 392),
        ("Iso-I", 12288, -51710.229),
        ("Iso-D", 12288, -51710.229),
        ("Diag-I", 12288, 6144),
        ("Diag-D", 12288, 6144),
    ],
)
def test_the_constants_of_the_papers_image_sizes(form, pixels, expected):
    assert variance_models.constant(form, pixels) == pytest.approx(expected, abs=5e-4)


@pytest.mark.parametrize("form", FORMS)
def test_the_gradient_is_that_of_j_rec_at_the_mle_held_fixed(form):
    """The gradient identity behind AR-ELBO: minimising the objective is minimising J with the
    variance estimated anew in every step."""
    values = residuals().requires_grad_()
    (found,) = torch.autograd.grad(variance_models.objective(form, values, 0.0), values)
    fixed = variance_models.mle(form, values).detach()
    (expected,) = torch.autograd.grad(variance_models.j_rec(values, fixed), values)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("form", ["Diag-I", "Iso-D", "Diag-D"])
def test_eps_is_added_to_the_sum_of_squares_inside_the_logarithm(form):
    """The gradient weights are then those of the variances with eps in their place."""
    eps = 0.1
    values = residuals().requires_grad_()
    (found,) = torch.autograd.grad(variance_models.objective(form, values, eps), values)
    squares = values.detach().square()
    variance = {
        "Diag-I": squares.mean(0, keepdim=True) + eps,
        "Iso-D": (squares.sum(1, keepdim=True) + eps) / 7,
        "Diag-D": squares + eps,
    }[form]
    torch.testing.assert_close(found, values.detach() / variance / 5, rtol=1e-12, atol=0)


def test_eps_is_not_used_by_iso_i():
    values = residuals()
    found = variance_models.objective("Iso-I", values, 0.1)
    assert found == variance_models.objective("Iso-I", values, 0.0)


@pytest.mark.parametrize("form", ["Diag-I", "Iso-D", "Diag-D"])
def test_eps_keeps_pixels_without_error_finite(form):
    values = torch.zeros(3, 4, dtype=torch.float64, requires_grad=True)
    found = variance_models.objective(form, values, 1e-6)
    (gradient,) = torch.autograd.grad(found, values)
    assert float(found.detach()) == pytest.approx(0.5 * 4 * math.log(1e-6))
    assert not gradient.any()


@pytest.mark.parametrize("t", [-0.3, -0.05, 0.05, 0.3])
@pytest.mark.parametrize("form", FORMS)
def test_every_other_variance_of_the_form_is_worse(form, t):
    values = residuals()
    best = variance_models.mle(form, values)
    increase = variance_models.j_rec(values, best * math.exp(t)) - j_of(form, values)
    expected = 0.5 * 7 * (math.exp(-t) - 1 + t)
    assert float(increase) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_a_form_that_shares_less_fits_better(seed):
    """Jensen: Diag-D <= Diag-I <= Iso-I and Diag-D <= Iso-D <= Iso-I on the same residuals."""
    values = residuals(seed=seed)
    found = {form: float(j_of(form, values)) for form in FORMS}
    assert found["Diag-D"] < found["Diag-I"] < found["Iso-I"]
    assert found["Diag-D"] < found["Iso-D"] < found["Iso-I"]


@pytest.mark.parametrize("function", ["mle", "objective", "constant"])
def test_another_form_is_refused(function):
    arguments = {"mle": (residuals(),), "objective": (residuals(), 0.0), "constant": (7,)}
    with pytest.raises(ValueError, match="form is 'Iso'; expected Iso-I, Diag-I, Iso-D or Diag-D"):
        getattr(variance_models, function)("Iso", *arguments[function])
