"""The methods of MAE: Ma, Zhou & Hovy, "MAE: Mutual Posterior-Divergence Regularization for
Variational AutoEncoders" (ICLR 2019).

`network` is one of vaebench/methods/mae_networks.py. Symbols are the paper's: `eta` weighs
diversity, `gamma` smoothness.
"""

from collections.abc import Mapping
from typing import Any

from vaebench.data.dataset import DataInfo
from vaebench.methods import method
from vaebench.methods.mae_networks import network_of, start
from vaebench.objectives.mutual import MutualElbo, MutualPosteriorDivergence
from vaebench.training.recipe import Recipe


@method
def vae(data: DataInfo, *, network: Mapping[str, Any], free_bits: float) -> Recipe:
    """VLAE (Chen et al., 2017), or with independent pixels the ResNet VAE: a VAE whose prior is
    autoregressive. The mean KL of a batch is charged no less than `free_bits`, in nats; 0 is
    none."""
    net = network_of(network)
    objective = MutualElbo(free_bits, MutualPosteriorDivergence(0.0, 0.0))
    return Recipe(net.model(data), objective, start=start(net))


@method
def mae(
    data: DataInfo, *, network: Mapping[str, Any], eta: float, gamma: float, diverse: str
) -> Recipe:
    """MAE: the same, whose posteriors are kept apart, and evenly (Eq. 7). `diverse` is the form of
    the first regulariser: `code`, `paper` or `code_2018_09`."""
    net = network_of(network)
    pairs = MutualPosteriorDivergence(diversity=eta, smoothness=gamma, form=diverse)
    return Recipe(net.model(data), MutualElbo(0.0, pairs), start=start(net))
