"""A plugin whose methods start from the trained model of another run."""

import copy
import os
from pathlib import Path

import torch
from torch import nn

from vaebench.data.dataset import DataInfo
from vaebench.methods import method
from vaebench.models.divergence import kl_divergence
from vaebench.models.heads import GaussianHead
from vaebench.models.latent import LatentModel
from vaebench.models.priors import StandardGaussian
from vaebench.objectives.elbo import negative_elbo
from vaebench.training.recipe import Recipe


class Codes(nn.Module):
    """Features of the mean code of another model."""

    def __init__(self, base: LatentModel, latent: int, features: int) -> None:
        super().__init__()
        self.base, self.layer = base, nn.Linear(latent, features)

    def forward(self, x):
        return self.features(self.base.infer(x).mean)

    def features(self, z):
        return torch.tanh(self.layer(z))


class Through(nn.Module):
    """From u by a linear map to z, from there by the decoder of another model."""

    def __init__(self, base: LatentModel, latent: int) -> None:
        super().__init__()
        self.base, self.layer = base, nn.Linear(latent, latent)

    def log_prob(self, x, u):
        return self.base.decoder.log_prob(x, self.layer(u))

    def mean(self, u):
        return self.base.decoder.mean(self.layer(u))


def note(name: str) -> None:
    """Count the trainings, where a test asks for that."""
    if "NOTES" in os.environ:
        with (Path(os.environ["NOTES"]) / name).open("a") as log:
            log.write("x")


@method
def second(data: DataInfo, *, base: LatentModel, latent: int, hidden: list[int]) -> Recipe:
    """A small VAE on z drawn from q(z|x) of the first one, which stays as it is."""
    note("second")
    model = LatentModel(
        encoder=Codes(base, latent, hidden[-1]),
        head=GaussianHead(hidden[-1], latent, isotropic=False),
        prior=StandardGaussian(latent),
        decoder=Through(base, latent),
    )

    def objective(model, batch, clock):
        z = base.infer(batch.x).rsample(1)[0]
        posterior = model.head(model.encoder.features(z))
        draws = posterior.draw(1)
        rec = 0.5 * (z - model.decoder.layer(draws.z)).square().sum(-1).mean()
        kl = kl_divergence(posterior, model.prior, draws).mean()
        return {"loss": rec + kl, "rec": rec, "kl": kl}

    return Recipe(model, objective)


@method
def continued(data: DataInfo, *, base: LatentModel) -> Recipe:
    """All parameters of the first one, trained on."""
    note("continued")
    return Recipe(copy.deepcopy(base).requires_grad_(True), negative_elbo)
