"""The importance-weighted objective."""

from dataclasses import dataclass

from torch import Tensor

from vaebench.data.dataset import Batch
from vaebench.estimators.importance import importance_bound, normalised_weights
from vaebench.models.divergence import log_ratio
from vaebench.models.latent import LatentModel
from vaebench.objectives.clock import Clock


@dataclass(frozen=True)
class ImportanceWeighted:
    """Mean over the batch of sum_k w_k l_k with l_k = -log p(x|z_k) + log q(z_k|x) - log p(z_k).

    The weights w = softmax(-l) carry no gradient, so the gradient is that of the k-sample bound
    (Burda et al., 2016, Eq. 13-14) while the value of the loss lies below it; `bound` is the
    negative bound itself. In nats; the total derivative, so z carries gradient in both densities.
    """

    samples: int

    def __post_init__(self) -> None:
        if not isinstance(self.samples, int) or self.samples < 1:
            raise ValueError(f"samples is {self.samples!r}; expected a number from 1")

    def __call__(self, model: LatentModel, batch: Batch, clock: Clock) -> dict[str, Tensor]:
        posterior = model.infer(batch.x)  # once: the k draws differ by their noise alone
        draws = posterior.draw(self.samples)
        log_weights = model.decoder.log_prob(batch.x, draws.z) - log_ratio(model.prior, draws)
        loss = -(normalised_weights(log_weights) * log_weights).sum(dim=0).mean()
        bound = -importance_bound(log_weights.detach()).mean()
        return {"loss": loss, "bound": bound}
