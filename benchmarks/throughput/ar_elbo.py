"""A training step of AR-ELBO's convolutional networks, batch 64, against a plain PyTorch loop."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset

from cases import Case, Ours, Pair, baseline_side, count_flop, our_side, repeated, split
from loaders import endlessly
from vaebench import methods
from vaebench.data.dataset import DataInfo, Split
from vaebench.objectives.clock import Clock
from vaebench.registry.runs import Adam
from vaebench.training.numerics import Numerics
from vaebench.training.recipe import Recipe

BATCH = 64
MNIST = DataInfo("random", "stand-in", (1, 28, 28), 10, 60_000, 0)
CELEBA = DataInfo("random", "stand-in", (3, 64, 64), 0, 2_048, 0)


class PlainVae(nn.Module):
    """Layers in a row, and one variance of q for all data (`shared`) or a layer for it."""

    def __init__(
        self,
        encoder: nn.Sequential,
        decoder: nn.Sequential,
        features: int,
        latent: int,
        *,
        shared: bool = False,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.mean = nn.Linear(features, latent)
        self.log_variance = nn.Parameter(torch.zeros(1)) if shared else nn.Linear(features, latent)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The squared error of one draw and the KL, both a mean over the batch."""
        h = self.encoder(x)
        mean, spread = self.mean(h), self.log_variance
        log_variance = spread(h) if isinstance(spread, nn.Linear) else spread.expand_as(mean)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        error = F.mse_loss(self.decoder(z), x, reduction="sum") / len(x)
        kl = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(1).mean()
        return error, kl


def plain() -> PlainVae:
    """Appendix D.1, for Table 1."""
    encoder = nn.Sequential(
        nn.Conv2d(1, 64, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(64, 128, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(7 * 7 * 128, 1024),
        nn.ReLU(),
    )
    decoder = nn.Sequential(
        nn.Linear(8, 1024),
        nn.ReLU(),
        nn.Linear(1024, 7 * 7 * 128),
        nn.ReLU(),
        nn.Unflatten(1, (128, 7, 7)),
        nn.ConvTranspose2d(128, 64, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(64, 1, 4, stride=2, padding=1),
        nn.Sigmoid(),
    )
    return PlainVae(encoder, decoder, 1024, 8, shared=True)


def mnist() -> PlainVae:
    """Appendix J.1, for Table 3."""
    encoder = nn.Sequential(
        nn.Conv2d(1, 64, 5, stride=2, padding=2),
        nn.ReLU(),
        nn.Conv2d(64, 128, 5, stride=2, padding=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(7 * 7 * 128, 1024),
        nn.BatchNorm1d(1024),
        nn.ReLU(),
    )
    decoder = nn.Sequential(
        nn.Linear(16, 1024),
        nn.BatchNorm1d(1024),
        nn.ReLU(),
        nn.Linear(1024, 7 * 7 * 128),
        nn.BatchNorm1d(7 * 7 * 128),
        nn.ReLU(),
        nn.Unflatten(1, (128, 7, 7)),
        nn.ConvTranspose2d(128, 64, 5, stride=2, padding=2, output_padding=1),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.ConvTranspose2d(64, 1, 4, stride=2, padding=1),
        nn.Sigmoid(),
    )
    return PlainVae(encoder, decoder, 1024, 16)


def celeba() -> PlainVae:
    """Appendix J.2, for Table 3."""
    encoder = nn.Sequential(
        nn.Conv2d(3, 128, 5, stride=2, padding=2),
        nn.ReLU(),
        nn.Conv2d(128, 256, 5, stride=2, padding=2),
        nn.BatchNorm2d(256),
        nn.ReLU(),
        nn.Conv2d(256, 512, 5, stride=2, padding=2),
        nn.BatchNorm2d(512),
        nn.ReLU(),
        nn.Conv2d(512, 1024, 5, stride=2, padding=2),
        nn.BatchNorm2d(1024),
        nn.ReLU(),
        nn.Flatten(),
    )
    decoder = nn.Sequential(
        nn.Linear(64, 8 * 8 * 1024),
        nn.Unflatten(1, (1024, 8, 8)),
        nn.ConvTranspose2d(1024, 512, 5, stride=2, padding=2, output_padding=1),
        nn.ReLU(),
        nn.ConvTranspose2d(512, 256, 5, stride=2, padding=2, output_padding=1),
        nn.BatchNorm2d(256),
        nn.ReLU(),
        nn.ConvTranspose2d(256, 128, 5, stride=2, padding=2, output_padding=1),
        nn.BatchNorm2d(128),
        nn.ReLU(),
        nn.ConvTranspose2d(128, 3, 5, stride=1, padding=2),
    )
    return PlainVae(encoder, decoder, 4 * 4 * 1024, 64)


def adaptive(error: Tensor, pixels: int) -> Tensor:
    """The reconstruction term of AR-ELBO, Iso-I."""
    return 0.5 * pixels * error.log()


def fixed(error: Tensor, pixels: int) -> Tensor:
    """That of a VAE with sigma_x^2 = 1."""
    return 0.5 * error


class PlainTraining:
    """Adam as torch makes it by default, a DataLoader that indexes by the batch, the loss read."""

    def __init__(
        self,
        model: PlainVae,
        reconstruction: Callable[[Tensor, int], Tensor],
        data: Split,
        rate: float,
    ) -> None:
        self.model, self.reconstruction = model, reconstruction
        self.optimizer = torch.optim.Adam(model.parameters(), lr=rate)
        pixels = TensorDataset(data.pixels(data.images))
        sampler = BatchSampler(RandomSampler(pixels), BATCH, drop_last=True)
        loader = DataLoader(pixels, sampler=sampler, batch_size=None)
        self.batches = endlessly(loader)
        self.total = 0.0

    def loss(self, x: Tensor) -> Tensor:
        error, kl = self.model(x)
        return self.reconstruction(error, x[0].numel()) + kl

    def step(self) -> None:
        loss = self.loss(next(self.batches))
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.total += loss.item()


@dataclass(frozen=True)
class Setting:
    """What is trained on both sides; the learning rates are the paper's."""

    method: str
    arguments: dict[str, object]
    info: DataInfo
    rate: float
    network: Callable[[], PlainVae]
    reconstruction: Callable[[Tensor, int], Tensor]

    def recipe(self) -> Recipe:
        torch.manual_seed(0)
        return methods.build(self.method, self.info, {"width": 1} | self.arguments)


def build(setting: Setting, numerics: Numerics, steps: int) -> Pair:
    """Both sides, from equal weights."""
    data, recipe = split(setting.info), setting.recipe()
    optimizer = Adam(name="adam", lr=setting.rate)
    ours = Ours(recipe, data, batch=BATCH, optimizer=optimizer)
    theirs = PlainTraining(setting.network(), setting.reconstruction, data, setting.rate)
    difference = _difference(recipe, theirs, data)
    our_flop, their_flop = count_flop(ours.step), count_flop(theirs.step)
    return Pair(
        baseline_side("plain loop", numerics.threads, repeated(theirs.step, steps), their_flop),
        our_side(numerics, repeated(ours.step, steps), our_flop),
        difference,
    )


def renamed(model: nn.Module) -> dict[str, nn.Parameter]:
    """Our parameters by the baseline's names of them."""
    return {
        re.sub(r"\b(head|layers|network)\.", "", name): weight
        for name, weight in model.named_parameters()
    }


def share_weights(recipe: Recipe, theirs: nn.Module) -> None:
    """Give the baseline our weights; an error unless both have the same parameters."""
    weights = renamed(recipe.model)
    with torch.no_grad():
        for name, weight in theirs.named_parameters():
            weight.copy_(weights.pop(name))
    if weights:
        raise RuntimeError(f"the baseline has no {', '.join(weights)}")


def _difference(recipe: Recipe, theirs: PlainTraining, data: Split) -> float:
    """The relative difference of the losses with equal noise, from now equal weights."""
    share_weights(recipe, theirs.model)
    batch = data.take(torch.arange(BATCH))
    with torch.no_grad():
        torch.manual_seed(0)
        first = float(
            recipe.objective(recipe.model, batch, Clock.at(1, len(batch.y), len(batch.y)))["loss"]
        )
        torch.manual_seed(0)
        second = float(theirs.loss(batch.x))
    return abs(first / second - 1)


def _case(name: str, steps: int, rounds: int | None = None) -> Case:
    def make(numerics: Numerics, steps: int) -> Pair:
        return build(SETTINGS[name], numerics, steps)

    return Case(name, make, steps, 1.0, rounds)


SETTINGS = {
    "ar-elbo-plain": Setting(
        "ar_elbo.global_posterior",
        {"network": "plain", "output": "sigmoid", "latent": 8, "log10_sigma_x2": 0.0},
        MNIST,
        1e-3,
        plain,
        fixed,
    ),
    "ar-elbo-mnist": Setting(
        "ar_elbo.adaptive",
        {"network": "mnist", "output": "sigmoid", "latent": 16, "form": "Iso-I", "eps": 1e-6},
        MNIST,
        1e-3,
        mnist,
        adaptive,
    ),
    "ar-elbo-celeba": Setting(
        "ar_elbo.adaptive",
        {"network": "celeba", "output": "identity", "latent": 64, "form": "Iso-I", "eps": 1e-6},
        CELEBA,
        2e-4,
        celeba,
        adaptive,
    ),
}
CASES = (
    _case("ar-elbo-plain", 10),
    _case("ar-elbo-mnist", 8),
    _case("ar-elbo-celeba", 1, rounds=3),
)
