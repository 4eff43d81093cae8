"""Evaluators: `(model, data, **parameters) -> {name: value}`, registered by name.

A parameter is a plain value, the trained model of another run (in evaluation mode, without
gradients, on the device of the model), or the path of a file. A value is a number, a text, or None
where the quantity does not exist for the model (the KL of a deterministic encoder). An array is a
picture for a figure. Evaluators see the model in evaluation mode, without gradients unless they ask
for them, and with the global generator seeded from the run and the evaluation, so a repeated
evaluation gives the same values.
"""

import importlib
import inspect
from collections.abc import Callable, Collection, Mapping

import numpy as np

from vaebench.errors import UserError, unknown

Value = float | int | str | None | np.ndarray
Evaluator = Callable[..., Mapping[str, Value]]

_MODULES = (
    "data_statistics",
    "likelihood",
    "latents",
    "latent_statistics",
    "probes",
    "samples",
    "pictures",
    "averages",
    "squared_error",
    "oversmoothing",
    "frechet",
    "plug_in",
    "alphabets",
    "sentence_classifiers",
    "sentences",
    "latent_density",
    "posterior_boxes",
    "importance",
    "reconstructions",
    "perplexities",
    "agreement",
    "mlp_probes",
    "imputation",
    "mutual_divergence",
    "clusters",
    "code_classifiers",
    "linear_classifiers",
)
_EVALUATORS: dict[str, Evaluator] = {}


def evaluator(function: Evaluator) -> Evaluator:
    """Register a function under its name."""
    _EVALUATORS[function.__name__] = function
    return function


def evaluators() -> Mapping[str, Evaluator]:
    """Every registered evaluator by name."""
    for module in _MODULES:
        importlib.import_module(f"vaebench.evaluation.{module}")
    return _EVALUATORS


def check(name: str, parameters: Collection[str], where: str) -> None:
    """UserError, naming `where`, unless the evaluator exists and takes these parameters."""
    known = evaluators()
    if name not in known:
        raise UserError(f"{where}: {unknown('evaluation', name, known)}")
    allowed = dict(list(inspect.signature(known[name]).parameters.items())[2:])
    for parameter in parameters:
        if parameter not in allowed:
            raise UserError(f"{where}: {name}: {unknown('parameter', parameter, allowed)}")
    for wanted, declared in allowed.items():
        if wanted not in parameters and declared.default is inspect.Parameter.empty:
            raise UserError(f"{where}: {name}: the parameter {wanted!r} is missing")
