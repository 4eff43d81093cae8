"""MAE's model of binary images and its evaluation in the authors' way, written plainly.

The names of the parts are ours, but for the flows of the prior, of which each is two networks.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from loaders import endlessly

BATCH, CLIP, RATE, AVERAGE = 100, 5.0, 1e-3, 0.999
ETA, GAMMA = 1.0, 0.5
SIDE, LATENT, FLOWS = 28, 32, 8
SAMPLES = 500  # of the 4,096 of the likelihood
KERNELS = (7, 7, 7, 5, 5, 3, 3)
_TINY, _TINY_NORM = 1e-12, 1e-8
_LOG_2PI = math.log(2 * math.pi)


class Normalised(nn.Module):
    """g v / |v|, made before every use; `units` is the dimension of the output units."""

    def __init__(self, *shape: int, units: int = 0) -> None:
        super().__init__()
        self.units = units
        self.direction = nn.Parameter(0.05 * torch.randn(shape))
        self.gain = nn.Parameter(torch.ones(shape[units]))
        self.bias = nn.Parameter(torch.zeros(shape[units]))

    def weight(self) -> Tensor:
        others = [d for d in range(self.direction.dim()) if d != self.units]
        norms = torch.linalg.vector_norm(self.direction, dim=others, keepdim=True)
        return self.direction * (self.gain.view_as(norms) / norms)


class Linear(Normalised):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(outputs, inputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight(), self.bias)


class Conv(Normalised):
    def __init__(
        self, inputs: int, outputs: int, kernel: Sequence[int], stride: int = 1, padding: int = 0
    ) -> None:
        super().__init__(outputs, inputs, *kernel)
        self.stride, self.padding = stride, padding

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight(), self.bias, self.stride, self.padding)


class Masked(Normalised):
    """A whole kernel or matrix, which is multiplied by the mask before every use; gains are
    logarithms."""

    def __init__(self, *shape: int) -> None:
        super().__init__(*shape)
        self.mask: Tensor
        self.register_buffer("mask", torch.ones(shape))

    def weight(self) -> Tensor:
        self.direction.data.mul_(self.mask)
        norms = self.direction.flatten(1).norm(dim=1) + _TINY_NORM
        scale = (self.gain.exp() / norms).view(-1, *[1] * (self.direction.dim() - 1))
        return self.direction * scale


class MaskedConv(Masked):
    """Of the first `masked` channels, and of all without it, what comes before a pixel, and with
    `centre` the pixel; of a reversed one what comes after."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        centre: bool,
        masked: int | None = None,
        reverse: bool = False,
    ) -> None:
        super().__init__(outputs, inputs, kernel, kernel)
        self.padding = kernel // 2
        self.mask[:, :masked, kernel // 2, kernel // 2 + centre :] = 0
        self.mask[:, :masked, kernel // 2 + 1 :] = 0
        if reverse:
            self.mask = self.mask.flip(2, 3)

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight(), self.bias, padding=self.padding)


class MaskedLinear(Masked):
    """A unit sees the units whose degree is at most its own."""

    def __init__(self, inputs: Tensor, outputs: Tensor, *, reverse: bool) -> None:
        super().__init__(len(outputs), len(inputs))
        self.mask = (outputs.unsqueeze(1) >= inputs).float()
        if reverse:
            self.mask = self.mask.flip(0, 1)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight(), self.bias)


class Made(nn.Module):
    def __init__(self, *, reverse: bool) -> None:
        super().__init__()
        units = 10 * LATENT
        every = torch.arange(LATENT)
        degrees = torch.tensor([math.ceil((n + 1) * (LATENT - 1) / units) for n in range(units)])
        self.input = MaskedLinear(every + 1, degrees, reverse=reverse)
        self.direct = MaskedLinear(every + 1, every, reverse=reverse)
        self.output = MaskedLinear(degrees, every, reverse=reverse)

    def forward(self, z: Tensor) -> Tensor:
        outputs: Tensor = self.output(F.relu(self.input(z))) + self.direct(z)
        return outputs


class Flow(nn.Module):
    def __init__(self, shift: nn.Module, scale: nn.Module) -> None:
        super().__init__()
        self.shift, self.scale = shift, scale

    def forward(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """eps and the logarithm of the determinant."""
        shift, log_slopes = self.shift(z), 0.5 * self.scale(z)
        return shift + z * log_slopes.exp(), log_slopes.flatten(1).sum(1)


class PlainPrior(nn.Module):
    """Flows of two networks each, in turn a reversed one and one that is not."""

    def __init__(self, network: Callable[..., nn.Module]) -> None:
        super().__init__()
        self.flows = nn.ModuleList(
            Flow(*(network(reverse=number % 2 == 0) for _ in range(2))) for number in range(FLOWS)
        )

    def log_prob(self, z: Tensor) -> Tensor:
        """[N, ...] -> [N]."""
        log_det = z.new_zeros(len(z))
        for flow in self.flows:
            z, some = flow(z)
            log_det = log_det + some
        return -0.5 * (z.square() + _LOG_2PI).flatten(1).sum(1) + log_det


class HalvingBlock(nn.Module):
    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = Conv(inputs, outputs, (3, 3), stride=2, padding=1)
        self.second = Conv(outputs, outputs, (3, 3), padding=1)
        self.shortcut = Conv(inputs, outputs, (1, 1), stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return F.elu(self.second(F.elu(self.first(x))) + self.shortcut(x))


class PlainEncoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(HalvingBlock(1, 32), HalvingBlock(32, 64), HalvingBlock(64, 64))
        left = math.ceil(SIDE / 8)
        self.last = Conv(64, 512, (left, left))

    def forward(self, x: Tensor) -> Tensor:
        return F.elu(self.last(self.blocks(x))).flatten(1)


class Bottleneck(nn.Module):
    def __init__(self, kernel: int) -> None:
        super().__init__()
        self.narrow = Conv(64, 32, (1, 1))
        self.masked = MaskedConv(32, 32, kernel, centre=True)
        self.widen = Conv(32, 64, (1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return F.elu(self.widen(F.elu(self.masked(F.elu(self.narrow(x))))) + x)


class PlainPixelCnn(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.maps = Linear(LATENT, 4 * SIDE * SIDE)
        self.first = MaskedConv(5, 64, KERNELS[0], centre=False, masked=1)
        self.blocks = nn.ModuleList(Bottleneck(kernel) for kernel in KERNELS[1:])
        self.skips = nn.ModuleList(Bottleneck(kernel) for kernel in KERNELS[1:-1])
        self.head, self.output = Conv(64, 64, (1, 1)), Conv(64, 1, (1, 1))

    def maps_of(self, z: Tensor) -> Tensor:
        """[N, K] -> [N, 4, H, W]."""
        return F.elu(self.maps(z).view(-1, 4, SIDE, SIDE))

    def probabilities(self, inputs: Tensor) -> Tensor:
        """Of images beside their maps, [N, 5, H, W] -> [N, 1, H, W]."""
        outputs = [F.elu(self.first(inputs))]
        for number, block in enumerate(self.blocks):
            h = outputs[-1]
            if number >= 2:
                h = h + self.skips[number - 2](outputs[number - 2])
            outputs.append(block(h))
        h = outputs[-1] + self.skips[-1](outputs[-3])
        return torch.sigmoid(self.output(F.elu(self.head(h))))

    def log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        """x [B, 1, H, W], z [B, S, K] -> [B, S], from probabilities."""
        size, samples, _ = z.shape
        maps = self.maps_of(z.flatten(0, 1))
        seen = x.unsqueeze(1).expand(size, samples, *x.shape[1:]).flatten(0, 1)
        p = self.probabilities(torch.cat([seen, maps], 1)).view(size, samples, -1)
        flat = x.view(size, 1, -1)
        return ((p + _TINY).log() * flat + (1 - p + _TINY).log() * (1 - flat)).sum(2)

    @torch.no_grad()
    def sample(self, z: Tensor) -> Tensor:
        """[N, K] -> [N, 1, H, W]: the whole network for every pixel."""
        maps = self.maps_of(z)
        x = maps.new_zeros(len(z), 1, SIDE, SIDE)
        for row in range(SIDE):
            for column in range(SIDE):
                p = self.probabilities(torch.cat([x, maps], 1))
                x[:, :, row, column] = torch.bernoulli(p[:, :, row, column])
        return x


def pairwise(mean: Tensor, log_variance: Tensor) -> tuple[Tensor, Tensor]:
    """Of the KLs of all ordered pairs the mean of every dimension and the standard deviation of the
    whole ones, from tensors [B, B, K]."""
    size, variance = len(mean), log_variance.exp()
    ratios = variance.unsqueeze(1) / (variance.unsqueeze(0) + _TINY)
    distances = (mean.unsqueeze(1) - mean.unsqueeze(0)).pow(2) / (variance.unsqueeze(0) + _TINY)
    logarithms = log_variance.unsqueeze(1) - log_variance.unsqueeze(0)
    itself = torch.eye(size)
    kls = 0.5 * (ratios + distances - logarithms - 1) * (1 - itself).unsqueeze(2)
    means = kls.view(size * size, -1).mean(0) * (size / (size - 1))
    # The mean stands on the diagonal, which so adds nothing to the deviation.
    deviation = (kls.sum(2) + itself * means.sum()).std()
    return means, deviation * math.sqrt((size**2 - 1) / (size**2 - size - 1))


def regulariser(mean: Tensor, log_variance: Tensor, eta: float, gamma: float) -> Tensor:
    means, deviation = pairwise(mean, log_variance)
    return -eta * F.logsigmoid(means).sum() + gamma * deviation


class PlainHead(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = Linear(512, 2 * LATENT)

    def forward(self, h: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.linear(h).chunk(2, 1)
        return mean, log_variance


class PlainVae(nn.Module):
    """Codes of any shape."""

    def __init__(
        self,
        encoder: nn.Module,
        head: nn.Module,
        prior: PlainPrior,
        decoder: Any,
        *,
        eta: float,
        gamma: float,
    ) -> None:
        super().__init__()
        self.encoder, self.head, self.prior, self.decoder = encoder, head, prior, decoder
        self.eta, self.gamma = eta, gamma

    def loss(self, x: Tensor) -> Tensor:
        mean, log_variance, log_px, log_ratio = self._draw(x, 1)
        pairs = regulariser(mean.flatten(1), log_variance.flatten(1), self.eta, self.gamma)
        return (log_ratio.mean(1) - log_px.mean(1)).mean() + pairs

    @torch.no_grad()
    def nll(self, x: Tensor, samples: int) -> Tensor:
        """By importance sampling, all samples at once."""
        _, _, log_px, log_ratio = self._draw(x, samples)
        return math.log(samples) - torch.logsumexp(log_px - log_ratio, 1)

    def _draw(self, x: Tensor, samples: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Means, log variances, and of so many draws log p(x|z) and log q(z|x) - log p(z)."""
        mean, log_variance = self.head(self.encoder(x))
        noise = torch.randn(len(x), samples, *mean.shape[1:])
        wide_mean, wide = mean.unsqueeze(1), log_variance.unsqueeze(1)
        z = wide_mean + torch.exp(0.5 * wide) * noise
        log_pz = self.prior.log_prob(z.flatten(0, 1)).view(len(x), samples)
        squares = (z - wide_mean).pow(2) / (wide.exp() + _TINY)
        log_qz = -0.5 * (wide + squares + _LOG_2PI).flatten(2).sum(2)
        return mean, log_variance, self.decoder.log_prob(x, z), log_qz - log_pz


def plain_vae() -> PlainVae:
    """That of binary images."""
    return PlainVae(
        PlainEncoder(), PlainHead(), PlainPrior(Made), PlainPixelCnn(), eta=ETA, gamma=GAMMA
    )


class PlainTraining:
    """Adam, a DataLoader, clipping, an average of one parameter after another, the loss read."""

    def __init__(
        self,
        model: PlainVae,
        images: Tensor,
        shown: Callable[[Tensor], Tensor],
        *,
        batch: int,
        betas: tuple[float, float],
    ) -> None:
        self.model, self.shown = model, shown
        self.optimizer = torch.optim.Adam(model.parameters(), lr=RATE, betas=betas)
        self.averages = [weight.detach().clone() for weight in model.parameters()]
        loader = DataLoader(TensorDataset(images), batch, shuffle=True, drop_last=True)
        self.batches = endlessly(loader)
        self.total = 0.0

    def step(self) -> None:
        x = self.shown(next(self.batches))
        self.optimizer.zero_grad()
        loss = self.model.loss(x)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        self.optimizer.step()
        for average, weight in zip(self.averages, self.model.parameters(), strict=True):
            average.sub_((1 - AVERAGE) * (average - weight.data))
        self.total += loss.item()
