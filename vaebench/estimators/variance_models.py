"""The variance models of a Gaussian decoder and what is left of the loss at their MLE.

AR-ELBO, Table 2, Eq. 9-10 and Appendix G. The forms are named as in the paper: Iso or Diag says
whether all pixels share one variance, I or D whether all data share it. Residuals x - mu(z) are
[B, d] in units of pixels, and the expectation is the mean over the B examples given.
"""

import math

import torch
from torch import Tensor

# The axes of the residuals [B, d] along which the variance is one.
_SHARED: dict[str, tuple[int, ...]] = {
    "Iso-I": (0, 1),
    "Diag-I": (0,),
    "Iso-D": (1,),
    "Diag-D": (),
}
FORMS = tuple(_SHARED)


def check_form(form: str) -> None:
    """ValueError unless `form` is one of the four."""
    if form not in FORMS:
        raise ValueError(f"form is {form!r}; expected {', '.join(FORMS[:-1])} or {FORMS[-1]}")


def mle(form: str, residuals: Tensor) -> Tensor:
    """The variances that maximise the likelihood: [1 or B, 1 or d], to broadcast."""
    check_form(form)
    squares = residuals.square()
    shared = _SHARED[form]
    return squares.mean(shared, keepdim=True) if shared else squares


def j_rec(residuals: Tensor, variance: Tensor) -> Tensor:
    """1/2 E[sum_i r_i^2 / s_i + ln s_i] for variances that broadcast to [B, d] (Eq. 10b).

    The negative log-likelihood in nats without (d/2) ln 2 pi; a scalar.
    """
    return j_rec_of_log(residuals, variance.log())


def j_rec_of_log(residuals: Tensor, log_variance: Tensor) -> Tensor:
    """`j_rec` for log variances: no variance underflows."""
    log_variance = log_variance.expand_as(residuals)
    squares = residuals.square() * torch.exp(-log_variance)
    return 0.5 * (squares + log_variance).sum(1).mean()


def objective(form: str, residuals: Tensor, eps: float) -> Tensor:
    """`j_rec` at the MLE without its constant, a scalar: the reconstruction term of AR-ELBO.

    `eps` keeps logarithms finite; Iso-I, whose mean error is never zero, goes without.
    """
    check_form(form)
    squares = residuals.square()
    pixels = residuals.shape[1]
    match form:
        case "Iso-I":
            return 0.5 * pixels * squares.sum(1).mean().log()
        case "Diag-I":
            return 0.5 * torch.log(squares.mean(0) + eps).sum()
        case "Iso-D":
            return 0.5 * pixels * torch.log(squares.sum(1) + eps).mean()
        case _:
            return 0.5 * torch.log(squares + eps).sum(1).mean()


def constant(form: str, pixels: int) -> float:
    """`j_rec` at the MLE less `objective` without eps, for images of so many pixels."""
    check_form(form)
    return 0.5 * pixels * (1 - math.log(pixels)) if form.startswith("Iso") else 0.5 * pixels
