"""A training step of IGP's image model: IWAE with k samples, 784-200-200-32 and back, batch 128."""

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from cases import (
    ADAM,
    BATCH,
    INFO,
    Case,
    Ours,
    Pair,
    baseline_side,
    check_compiler,
    count_flop,
    our_side,
    repeated,
    split,
)
from loaders import endlessly
from vaebench import methods
from vaebench.data.dataset import Batch, Split
from vaebench.objectives.clock import Clock
from vaebench.training.numerics import Numerics
from vaebench.training.recipe import Recipe

_CLIP = 1e-7  # Keras' epsilon


class Official(nn.Module):
    """The model as the official code writes it: sigmoid probabilities, clipped, cross-entropy."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(784, 200), nn.Tanh(), nn.Linear(200, 200), nn.Tanh())
        self.mean, self.log_variance = nn.Linear(200, 32), nn.Linear(200, 1)
        self.decoder = nn.Sequential(
            nn.Linear(32, 200), nn.Tanh(), nn.Linear(200, 200), nn.Tanh(), nn.Linear(200, 784)
        )

    def forward(self, x: Tensor) -> Tensor:
        """The log weight of one draw: x [B, 784] -> [B], without the constants that cancel."""
        h = self.encoder(x)
        mean, log_variance = self.mean(h), self.log_variance(h).expand(-1, 32)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        p = torch.sigmoid(self.decoder(z)).clamp(_CLIP, 1 - _CLIP)
        log_px = (x * torch.log(p) + (1 - x) * torch.log(1 - p)).sum(-1)
        log_pz = -0.5 * z.square().sum(-1)
        log_qz = -0.5 * ((z - mean).square() / log_variance.exp() + log_variance).sum(-1)
        log_weight: Tensor = log_px + log_pz - log_qz
        return log_weight


class OfficialTraining:
    """One call of encoder and decoder a sample, default Adam, a DataLoader, the loss read."""

    def __init__(self, data: Split, samples: int) -> None:
        self.model, self.samples = Official(), samples
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=ADAM.lr, eps=ADAM.eps)
        pixels = data.pixels(data.images).flatten(1)
        loader = DataLoader(TensorDataset(pixels), BATCH, shuffle=True, drop_last=True)
        self.batches = endlessly(loader)
        self.total = 0.0

    def loss(self, x: Tensor) -> Tensor:
        log_weights = torch.stack([self.model(x) for _ in range(self.samples)])
        weights = torch.softmax(log_weights.detach(), dim=0)
        return -(weights * log_weights).sum(0).mean()

    def step(self) -> None:
        loss = self.loss(next(self.batches))
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self.optimizer.step()
        self.total += loss.item()


def build(samples: int, numerics: Numerics, steps: int, *, compiled: bool) -> Pair:
    """Both sides for k = `samples`, from equal weights."""
    if compiled:
        check_compiler()
    data = split()
    recipe = iwae(samples)
    ours, official = Ours(recipe, data), OfficialTraining(data, samples)
    difference = _difference(recipe, official, data)
    our_flop, official_flop = count_flop(ours.step), count_flop(official.step)
    if compiled:
        ours.objective = recipe.compiled().objective
    return Pair(
        baseline_side(
            "as official", numerics.threads, repeated(official.step, steps), official_flop
        ),
        our_side(numerics, repeated(ours.step, steps), our_flop),
        difference,
    )


def iwae(samples: int) -> Recipe:
    arguments = {"latent": 32, "hidden": [200, 200], "posterior": "isotropic", "samples": samples}
    torch.manual_seed(0)
    return methods.build("igp.iwae", INFO, arguments)


def _difference(recipe: Recipe, official: OfficialTraining, data: Split) -> float:
    """Give the baseline our weights; the relative difference of the losses with equal noise."""
    mine, theirs = recipe.model.parameters(), official.model.parameters()
    with torch.no_grad():
        for ours, baseline in zip(mine, theirs, strict=True):
            baseline.copy_(ours)
        batch: Batch = data.take(torch.arange(BATCH))
        torch.manual_seed(0)
        first = float(
            recipe.objective(recipe.model, batch, Clock.at(1, len(batch.y), len(batch.y)))["loss"]
        )
        torch.manual_seed(0)
        second = float(official.loss(batch.x.flatten(1)))
    return abs(first / second - 1)


def _case(name: str, samples: int, steps: int, target: float, *, compiled: bool = False) -> Case:
    def make(numerics: Numerics, steps: int) -> Pair:
        return build(samples, numerics, steps, compiled=compiled)

    return Case(name, make, steps, target)


CASES = (
    _case("igp-step-k1", 1, 100, 1.4),
    _case("igp-step-k5", 5, 30, 2.6),
    _case("igp-step-k50", 50, 4, 2.4),
    _case("igp-step-k50-compiled", 50, 4, 3.8, compiled=True),
)
