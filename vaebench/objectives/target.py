"""The ELBO whose KL is pulled towards a target: the objective of IGP's text models."""

from dataclasses import dataclass

from torch import Tensor

from vaebench.data.dataset import Batch
from vaebench.models.divergence import kl_divergence
from vaebench.models.latent import LatentModel
from vaebench.objectives.clock import Clock


@dataclass(frozen=True)
class TargetKl:
    """Mean of -log p(x|z) + beta |KL(q(z|x) || p(z)) - C_t|, one draw of z a datum, in nats (IGP,
    Eq. 2).

    The distance is that of every datum, not of their mean. C_t rises linearly from 0 to `target` in
    the first `ramp` steps; without a ramp it is there from the first. With a target of 0 it is
    beta-VAE's objective. Where the KL is estimated from the draw (mixture priors), the distance is
    that of the estimate, as in the official code.
    """

    target: float
    beta: float
    ramp: int | None

    def __post_init__(self) -> None:
        if not self.target >= 0:
            raise ValueError(f"target is {self.target!r}; expected nats from 0")
        if not self.beta >= 0:
            raise ValueError(f"beta is {self.beta!r}; expected a number from 0")
        if self.ramp is not None and not self.ramp >= 1:
            raise ValueError(f"ramp is {self.ramp!r}; expected steps from 1, or None")

    def target_at(self, clock: Clock) -> Tensor:
        """C_t, 0-dim."""
        ramp = 1 if self.ramp is None else self.ramp
        return self.target * (clock.step / ramp).clamp(max=1.0)

    def __call__(self, model: LatentModel, batch: Batch, clock: Clock) -> dict[str, Tensor]:
        posterior = model.infer(batch.x)
        draws = posterior.draw(1)
        rec = -model.decoder.log_prob(batch.x, draws.z).mean()
        kl = kl_divergence(posterior, model.prior, draws)
        if kl is None:
            raise TypeError("a target needs a posterior with a density; use `reconstruction`")
        distance = (kl - self.target_at(clock).to(kl)).abs().mean()
        return {"loss": rec + self.beta * distance, "rec": rec, "kl": kl.mean()}
