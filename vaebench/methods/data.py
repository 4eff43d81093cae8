"""The data themselves, as a row beside those of models: to be counted, or compared with.

A run of it trains nothing, and has no arguments and no seed.
"""

from torch import Tensor, nn

from vaebench.data.dataset import Batch, DataInfo
from vaebench.methods import method
from vaebench.models.latent import DataThemselves
from vaebench.objectives.clock import Clock
from vaebench.training.recipe import Recipe


@method
def itself(data: DataInfo) -> Recipe:
    """No model: what is evaluated, or what an input run gives, are the data."""
    return Recipe(DataThemselves(), _untrainable)


def _untrainable(model: nn.Module, batch: Batch, clock: Clock) -> dict[str, Tensor]:
    raise TypeError("the data themselves are not trained")
