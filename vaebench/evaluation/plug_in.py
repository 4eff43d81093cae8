"""AR-ELBO's Table 2 as a measurement: what is left of the loss with the MLE of its variances."""

import torch
from torch import Tensor

from vaebench.data.dataset import Dataset
from vaebench.errors import UserError
from vaebench.estimators import variance_models
from vaebench.evaluation import Value, evaluator
from vaebench.models.latent import LatentModel

_IMAGES = 1_000
_STEPS = (-0.3, -0.05, 0.05, 0.3)
_SMALLEST = 1e-12


@evaluator
def plug_in(model: LatentModel, data: Dataset, *, form: str) -> dict[str, Value]:
    """How far Eq. 10b with the MLE put in is from the listed objective of a variance model.

    On the residuals of the first test images with one draw each, and on random ones of the same
    shape, in float64, the worse of the two: `constant_error` of the value, relative to the constant
    between them; `gradient_error` between the gradients of the objective and of Eq. 10b at a fixed
    MLE, in norm, relative; `minimum_increase` of Eq. 10b when the MLE is multiplied by e^t for some
    t, the smallest.
    """
    if form not in variance_models.FORMS:
        raise UserError(f"plug_in: form is {form!r}; expected one of {variance_models.FORMS}")
    residuals = _residuals(model, data)
    found = [_measure(form, some) for some in (residuals, torch.randn_like(residuals))]
    constants, gradients, increases = zip(*found, strict=True)
    return {
        "constant_error": max(constants),
        "gradient_error": max(gradients),
        "minimum_increase": min(increases),
    }


@torch.no_grad()
def _residuals(model: LatentModel, data: Dataset) -> Tensor:
    """x - mu(z), [B, pixels]. Where a saturated output leaves none, there is no logarithm: a tiny
    one stands for it."""
    device = data.test.labels.device
    x = data.test.take(torch.arange(min(_IMAGES, len(data.test)), device=device)).x
    decoded = model.decoder.mean(model.infer(x).rsample(1)[0])
    residuals = (x.double() - decoded.double()).flatten(1)
    return torch.where(residuals == 0, _SMALLEST, residuals)


def _measure(form: str, residuals: Tensor) -> tuple[float, float, float]:
    residuals = residuals.requires_grad_()
    variance = variance_models.mle(form, residuals).detach()
    loss = variance_models.j_rec(residuals, variance)
    objective = variance_models.objective(form, residuals, eps=0.0)
    constant = variance_models.constant(form, residuals.shape[1])
    (expected,) = torch.autograd.grad(loss, residuals)
    (gradient,) = torch.autograd.grad(objective, residuals)
    with torch.no_grad():
        increases = [
            variance_models.j_rec(residuals, variance * torch.tensor(step).exp()) - loss
            for step in _STEPS
        ]
    return (
        abs(float((loss - objective).detach() - constant) / constant),
        float((gradient - expected).norm() / expected.norm()),
        min(float(increase) for increase in increases),
    )
