"""DU-VAE's image model and its evaluation in the authors' way, written plainly.

The names of the parts are ours, so that weights can be shared.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from loaders import endlessly
from vaebench.data.dataset import Split, real

BATCH, LATENT, CLIP, RATE = 50, 32, 5.0, 1e-3
SAMPLES, CHUNK = 500, 100  # of the likelihood
KERNELS = (7, 7, 7, 7, 7, 5, 5, 5, 5, 3, 3, 3, 3)
_TINY = 1e-12


class Masked(nn.Conv2d):
    """A whole kernel, whose weight is multiplied by the mask before every use."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, masked: int, *, centre: bool
    ) -> None:
        super().__init__(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        mask = torch.ones_like(self.weight)
        mask[:, :masked, kernel // 2, kernel // 2 + centre :] = 0
        mask[:, :masked, kernel // 2 + 1 :] = 0
        self.mask: Tensor
        self.register_buffer("mask", mask)

    def forward(self, x: Tensor) -> Tensor:
        self.weight.data.mul_(self.mask)
        return super().forward(x)


class Block(nn.Module):
    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.narrow, self.narrow_norm = nn.Conv2d(64, 32, 1, bias=False), nn.BatchNorm2d(32)
        self.masked = Masked(32, 32, kernel, 32, centre=True)
        self.masked_norm = nn.BatchNorm2d(32)
        self.widen, self.widen_norm = nn.Conv2d(32, 64, 1, bias=False), nn.BatchNorm2d(64)

    def forward(self, x: Tensor) -> Tensor:
        h = F.elu(self.narrow_norm(self.narrow(x)))
        h = F.elu(self.masked_norm(self.masked(h)))
        return F.elu(self.widen_norm(self.widen(h)) + x)


class PlainPixelCnn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.maps = nn.Linear(LATENT, 4 * 784)
        self.first, self.first_norm = Masked(5, 64, 7, 1, centre=False), nn.BatchNorm2d(64)
        self.blocks = nn.ModuleList(Block(kernel) for kernel in KERNELS[1:])
        self.skips = nn.ModuleList(Block(kernel) for kernel in KERNELS[1:-1])
        self.head, self.head_norm = nn.Conv2d(64, 64, 1, bias=False), nn.BatchNorm2d(64)
        self.output = nn.Conv2d(64, 1, 1, bias=False)

    def log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        """x [B, 1, 28, 28], z [S, B, K] -> [S, B], from probabilities."""
        maps = self.maps(z).view(-1, 4, 28, 28)
        h = torch.cat([x.expand(len(z), *x.shape).reshape(-1, 1, 28, 28), maps], 1)
        outputs = [F.elu(self.first_norm(self.first(h)))]
        for number, block in enumerate(self.blocks):
            h = outputs[-1]
            if number >= 2:
                h = h + self.skips[number - 2](outputs[number - 2])
            outputs.append(block(h))
        h = outputs[-1] + self.skips[-1](outputs[-3])
        h = torch.sigmoid(self.output(F.elu(self.head_norm(self.head(h)))))
        p, flat = h.view(*z.shape[:2], -1), x.flatten(1)
        return (flat * (p + _TINY).log() + (1 - flat) * (1 - p + _TINY).log()).sum(-1)


class ResidualBlock(nn.Module):
    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, 64, 3, stride=2, padding=1, bias=False)
        self.first_norm = nn.BatchNorm2d(64)
        self.second = nn.Conv2d(64, 64, 3, padding=1, bias=False)
        self.second_norm = nn.BatchNorm2d(64)
        self.shortcut = nn.Conv2d(inputs, 64, 1, stride=2, bias=False)
        self.shortcut_norm = nn.BatchNorm2d(64)

    def forward(self, x: Tensor) -> Tensor:
        h = F.elu(self.first_norm(self.first(x)))
        return F.elu(self.second_norm(self.second(h)) + self.shortcut_norm(self.shortcut(x)))


class PlainEncoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(ResidualBlock(1), ResidualBlock(64), ResidualBlock(64))
        self.last, self.norm = nn.Conv2d(64, 512, 4, bias=False), nn.BatchNorm2d(512)

    def forward(self, x: Tensor) -> Tensor:
        return F.elu(self.norm(self.last(self.blocks(x)))).flatten(1)


class PlainVae(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = PlainEncoder(), PlainPixelCnn()
        self.head = nn.ModuleDict({"linear": nn.Linear(512, 2 * LATENT)})

    def infer(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.head["linear"](self.encoder(x)).chunk(2, 1)
        return mean, log_variance

    def loss(self, x: Tensor) -> Tensor:
        mean, log_variance = self.infer(x)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn(1, *mean.shape)
        kl = 0.5 * (mean.square() + log_variance.exp() - log_variance - 1).sum(1)
        return (kl - self.decoder.log_prob(x, z)[0]).mean()

    @torch.no_grad()
    def nll(self, x: Tensor) -> Tensor:
        """By importance sampling; each chunk of samples encodes the images again."""
        chunks = []
        for _ in range(SAMPLES // CHUNK):
            mean, log_variance = self.infer(x)
            std = torch.exp(0.5 * log_variance)
            z = mean + std * torch.randn(CHUNK, *mean.shape)
            log_pz = -0.5 * (z.square() + math.log(2 * math.pi)).sum(-1)
            squares = (z - mean).square() / log_variance.exp()
            log_qz = -0.5 * (squares + log_variance + math.log(2 * math.pi)).sum(-1)
            chunks.append(self.decoder.log_prob(x, z) + log_pz - log_qz)
        return math.log(SAMPLES) - torch.cat(chunks).logsumexp(0)


class PlainTraining:
    """Two optimisers as torch makes them by default, a DataLoader, the losses read."""

    def __init__(self, model: PlainVae, data: Split) -> None:
        self.model = model
        inference = [*model.encoder.parameters(), *model.head.parameters()]
        parts = (inference, model.decoder.parameters())
        self.optimizers = [torch.optim.Adam(part, lr=RATE) for part in parts]
        pixels = TensorDataset(real(data.images))
        loader = DataLoader(pixels, BATCH, shuffle=True, drop_last=True)
        self.batches = endlessly(loader)
        self.total = 0.0

    def step(self) -> None:
        x = torch.bernoulli(next(self.batches))
        for optimizer in self.optimizers:
            optimizer.zero_grad()
        loss = self.model.loss(x)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        for optimizer in self.optimizers:
            optimizer.step()
        self.total += loss.item()


def plain_information(posteriors: list[tuple[Tensor, Tensor, Tensor]], batches: int) -> float:
    """The sum of log q(z) over the draws of some batches, each against all posteriors, which are
    put together anew for every batch."""
    total = 0.0
    for number in range(batches):
        draws = posteriors[number][0].unsqueeze(1)
        means = torch.cat([means for _, means, _ in posteriors]).unsqueeze(0)
        log_variances = torch.cat([some for *_, some in posteriors]).unsqueeze(0)
        squares = ((draws - means) ** 2 / log_variances.exp()).sum(-1)
        constants = LATENT * math.log(2 * math.pi) + log_variances.sum(-1)
        log_density = -0.5 * (squares + constants)
        log_qz = torch.logsumexp(log_density, 1) - math.log(log_density.shape[1])
        total += log_qz.sum().item()
    return total
