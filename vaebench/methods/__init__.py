"""The methods of the papers, one module a paper: `igp.vae` is `vae` in vaebench/methods/igp.py.

A method is a function `(data: DataInfo, *, …) -> Recipe` under `@method`. Its arguments have no
defaults: a spec says everything, so the spec alone decides what a run is. An argument that the spec
names under `inputs` takes the trained model of another run.
"""

import importlib
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any

from torch import nn

from vaebench.data.dataset import DataInfo
from vaebench.errors import UserError, unknown
from vaebench.training.recipe import Recipe

Method = Callable[..., Recipe]

_MODULES = ("igp", "igp_text", "ar_elbo", "du_vae", "mae", "judges", "data")
_METHODS: dict[str, Method] = {}


def method(function: Method) -> Method:
    """Register a function as `<last part of its module>.<its name>`."""
    for parameter in list(inspect.signature(function).parameters.values())[1:]:
        if parameter.kind is not inspect.Parameter.KEYWORD_ONLY:
            raise TypeError(f"{function.__name__}: {parameter.name} must be keyword-only")
        if parameter.default is not inspect.Parameter.empty:
            raise TypeError(f"{function.__name__}: {parameter.name} must not have a default")
    _METHODS[f"{function.__module__.rpartition('.')[2]}.{function.__name__}"] = function
    return function


def methods() -> Mapping[str, Method]:
    """Every registered method by name."""
    for module in _MODULES:
        importlib.import_module(f"vaebench.methods.{module}")
    return _METHODS


def check(name: str, arguments: Collection[str], where: str) -> None:
    """UserError, naming `where`, unless the method exists and takes exactly these arguments."""
    known = methods()
    if name not in known:
        raise UserError(f"{where}: {unknown('method', name, known)}")
    wanted = list(inspect.signature(known[name]).parameters)[1:]
    for argument in arguments:
        if argument not in wanted:
            raise UserError(f"{where}: {name}: {unknown('argument', argument, wanted)}")
    missing = [argument for argument in wanted if argument not in arguments]
    if missing:
        raise UserError(f"{where}: {name}: the argument {missing[0]!r} is missing")


def build(
    name: str,
    data: DataInfo,
    arguments: Mapping[str, Any],
    inputs: Mapping[str, nn.Module] = {},
) -> Recipe:
    """The recipe of a checked method for a data set. `inputs` are the trained models of the input
    runs, in evaluation mode and without gradients; a method may change them."""
    try:
        return methods()[name](data, **arguments, **inputs)
    except (TypeError, ValueError, IndexError, RuntimeError) as error:
        raise UserError(f"{name}({dict(arguments)}): {error}") from error
