"""What the layers of weight-normalised networks give while a network runs."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from vaebench.models.weight_norm import WeightNormalised


def layers_of(module: nn.Module) -> list[WeightNormalised]:
    """The weight-normalised layers of a module, in the order in which they were made."""
    return [layer for layer in module.modules() if isinstance(layer, WeightNormalised)]


@torch.no_grad()
def outputs_of_layers(module: nn.Module, run: Callable[[], object]) -> list[Tensor]:
    """For each of them its outputs in `run` by units, [units, all others]."""
    found: dict[WeightNormalised, Tensor] = {}

    def hook(layer, _, outputs):
        assert layer not in found, "called twice"
        found[layer] = outputs.movedim(layer.units_of_outputs, 0).flatten(1).clone()

    handles = [layer.register_forward_hook(hook) for layer in layers_of(module)]
    try:
        run()
    finally:
        for handle in handles:
            handle.remove()
    return [found[layer] for layer in layers_of(module)]
