"""MAE's model of CIFAR-10 in the authors' way, written plainly.

The layers are those of `mae_plain.py`; the two streams of the PixelCNN++ go side by side.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from mae_plain import Conv, MaskedConv, Normalised, PlainPrior, PlainVae

BATCH, BETAS = 8, (0.95, 0.9995)
ETA, GAMMA = 0.5, 1.5
MAPS, FEATURES, FLOW_CHANNELS, CHANNELS = 16, 96, 128, 96
STEPS, GROWTH = (3, 3, 6), (15, 16, 16)
LEVELS, BLOCKS, COMPONENTS, DROPOUT = 3, 5, 10, 0.5
_HALF_STEP, _LEAST_DIFFERENCE, _TINY = 1 / 255, 1e-5, 1e-12


class TransposedConv(Normalised):
    """Stride 2."""

    def __init__(self, inputs: int, outputs: int, kernel: Sequence[int], padding: int) -> None:
        super().__init__(inputs, outputs, *kernel, units=1)
        self.padding = padding

    def forward(self, x: Tensor) -> Tensor:
        weight, padding = self.weight(), self.padding
        return F.conv_transpose2d(x, weight, self.bias, 2, padding, output_padding=1)


class DenseStep(nn.Module):
    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.narrow = Conv(channels, 4 * growth, (1, 1))
        self.convolution = Conv(4 * growth, growth, (3, 3), padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return F.elu(torch.cat([x, self.convolution(F.elu(self.narrow(x)))], 1))


class Activated(nn.Module):
    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return F.elu(self.layer(x))


class PlainDenseNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        channels, layers = 3, []
        for stage, (steps, growth) in enumerate(zip(STEPS, GROWTH, strict=True)):
            if stage > 0:
                layers.append(Activated(Conv(channels, channels, (3, 3), stride=2, padding=1)))
            for _ in range(steps):
                layers.append(DenseStep(channels, growth))
                channels += growth
        self.layers = nn.Sequential(*layers, Activated(Conv(channels, FEATURES, (1, 1))))

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.layers(x)
        return h


class PlainHead(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convolution = Conv(FEATURES, 2 * MAPS, (1, 1))

    def forward(self, h: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.convolution(h).chunk(2, 1)
        return mean, log_variance.clamp(-7, 7)


class MaskedNetwork(nn.Module):
    def __init__(self, *, reverse: bool) -> None:
        super().__init__()
        self.first = MaskedConv(MAPS, FLOW_CHANNELS, 3, centre=False, reverse=reverse)
        self.hidden = nn.ModuleList(
            MaskedConv(FLOW_CHANNELS, FLOW_CHANNELS, 3, centre=True, reverse=reverse)
            for _ in range(2)
        )
        self.last = MaskedConv(FLOW_CHANNELS, MAPS, 3, centre=True, reverse=reverse)
        self.direct = MaskedConv(MAPS, MAPS, 3, centre=False, reverse=reverse)

    def forward(self, z: Tensor) -> Tensor:
        h = F.relu(self.first(z))
        for layer in self.hidden:
            h = F.relu(layer(h) + h)
        outputs: Tensor = self.last(h) + self.direct(z)
        return outputs


def both_signs(x: Tensor) -> Tensor:
    return F.elu(torch.cat([x, -x], 1))


def shifted_down(x: Tensor) -> Tensor:
    return torch.cat([torch.zeros_like(x[:, :, :1]), x[:, :, :-1]], 2)


def shifted_right(x: Tensor) -> Tensor:
    return torch.cat([torch.zeros_like(x[..., :1]), x[..., :-1]], 3)


class Down(Conv):
    """It sees no row below, and as much on the left as on the right."""

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = self.direction.shape[2:]
        side = (columns - 1) // 2
        return super().forward(F.pad(x, (side, side, rows - 1, 0)))


class DownRight(Conv):
    """It sees no row below, and nothing on the right."""

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = self.direction.shape[2:]
        return super().forward(F.pad(x, (columns - 1, 0, rows - 1, 0)))


class UpDown(TransposedConv):
    """What is beyond twice the size is cut off."""

    def __init__(self) -> None:
        super().__init__(CHANNELS, CHANNELS, (2, 3), 0)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)[:, :, :-1, 1:-1]


class UpDownRight(TransposedConv):
    def __init__(self) -> None:
        super().__init__(CHANNELS, CHANNELS, (2, 2), 0)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)[:, :, :-1, :-1]


class Gates(nn.Module):
    """Of one stream."""

    def __init__(self, convolution: type[Conv], kernel: Sequence[int], *, beside: bool) -> None:
        super().__init__()
        self.first = convolution(2 * CHANNELS, CHANNELS, kernel)
        self.second = convolution(2 * CHANNELS, CHANNELS, kernel)
        self.gates = convolution(2 * CHANNELS, 2 * CHANNELS, kernel)
        self.beside = Conv(2 * CHANNELS, CHANNELS, (1, 1)) if beside else None

    def forward(self, x: Tensor, condition: Tensor, other: Tensor | None = None) -> Tensor:
        h = self.second(both_signs(self.first(both_signs(x))))
        if self.beside is not None and other is not None:
            h = h + self.beside(both_signs(other))
        h = F.dropout(both_signs(h), DROPOUT, self.training)
        values, gates = (self.gates(h) + condition).chunk(2, 1)
        outputs: Tensor = values * torch.sigmoid(gates) + x
        return outputs


class Condition(nn.Module):
    def __init__(self, maps: int) -> None:
        super().__init__()
        self.first = Conv(2 * maps, CHANNELS, (3, 3), padding=1)
        self.second = Conv(2 * CHANNELS, 2 * CHANNELS, (3, 3), padding=1)

    def forward(self, h: Tensor) -> Tensor:
        return self.second(both_signs(self.first(both_signs(h))))


class Block(nn.Module):
    """Of both streams."""

    def __init__(self, maps: int) -> None:
        super().__init__()
        self.condition = Condition(maps)
        self.vertical = Gates(Down, (2, 3), beside=False)
        self.horizontal = Gates(DownRight, (2, 2), beside=True)

    def forward(self, v: Tensor, u: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
        condition = self.condition(h)
        v = self.vertical(v, condition)
        return v, self.horizontal(u, condition, v)


class Both(nn.Module):
    """A layer for each stream, and perhaps one for the condition."""

    def __init__(
        self, vertical: nn.Module, horizontal: nn.Module, condition: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.vertical, self.horizontal, self.condition = vertical, horizontal, condition


class PlainPixelCnnPlusPlus(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        half, quarter = MAPS // 2, MAPS // 4
        self.twice = TransposedConv(MAPS, half, (3, 3), 1)
        self.fourfold = TransposedConv(half, quarter, (3, 3), 1)
        self.last = Conv(quarter, MAPS, (1, 1))
        self.rows_above, self.row_above = Down(3, CHANNELS, (2, 3)), Down(3, CHANNELS, (1, 3))
        self.left = DownRight(3, CHANNELS, (2, 1))
        sizes = [MAPS * 2**level for level in range(LEVELS)]
        self.inward, self.outward = (
            nn.ModuleList(nn.ModuleList(Block(size) for _ in range(BLOCKS)) for size in sizes)
            for _ in range(2)
        )
        self.skips = nn.ModuleList(
            nn.ModuleList(_skip() for _ in range(BLOCKS - (level == LEVELS - 1)))
            for level in range(LEVELS)
        )
        self.narrow = nn.ModuleList(
            Both(
                Down(CHANNELS, CHANNELS, (2, 3), stride=2),
                DownRight(CHANNELS, CHANNELS, (2, 2), stride=2),
                Conv(size, 2 * size, (3, 3), stride=2, padding=1),
            )
            for size in sizes[:-1]
        )
        self.skip = nn.ModuleList(_skip() for _ in sizes[:-1])
        self.widen = nn.ModuleList(
            Both(UpDown(), UpDownRight(), TransposedConv(2 * size, size, (3, 3), 1))
            for size in sizes[:-1]
        )
        self.hidden = Conv(CHANNELS, CHANNELS, (1, 1))
        self.output = Conv(CHANNELS, 10 * COMPONENTS, (1, 1))

    def parameters_of(self, x: Tensor, z: Tensor) -> Tensor:
        """Of the mixtures: x [N, 3, H, W], z [N, maps, H / 4, W / 4] -> [N, 10 M, H, W]."""
        h = self.last(F.elu(self.fourfold(F.elu(self.twice(z)))))
        v = shifted_down(self.rows_above(x))
        u = shifted_down(self.row_above(x)) + shifted_right(self.left(x))
        seen = []
        for level in range(LEVELS):
            if level > 0:
                narrow = self.narrow[level - 1]
                v, u, h = narrow.vertical(v), narrow.horizontal(u), narrow.condition(h)
                seen.append((v, u))
            for block in self.inward[level]:
                v, u = block(v, u, h)
                seen.append((v, u))
        seen.pop()  # which are v and u
        for level in reversed(range(LEVELS)):
            first = len(self.outward[level]) - len(self.skips[level])
            for number, block in enumerate(self.outward[level]):
                if number >= first:
                    v, u = _looking_back(self.skips[level][number - first], v, u, *seen.pop())
                v, u = block(v, u, h)
            if level > 0:
                v, u = _looking_back(self.skip[level - 1], v, u, *seen.pop())
                widen = self.widen[level - 1]
                v, u, h = widen.vertical(v), widen.horizontal(u), widen.condition(h)
        return self.output(F.elu(self.hidden(F.elu(u))))

    def log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        """x [B, 3, H, W], z [B, S, maps, H / 4, W / 4] -> [B, S]."""
        size, samples = z.shape[:2]
        seen = x.unsqueeze(1).expand(size, samples, *x.shape[1:]).flatten(0, 1)
        parameters = self.parameters_of(seen, z.flatten(0, 1))
        return _log_likelihood(parameters, seen).view(size, samples)


def _skip() -> Both:
    return Both(*(Conv(2 * CHANNELS, CHANNELS, (1, 1)) for _ in range(2)))


def _looking_back(
    skip: Both, v: Tensor, u: Tensor, seen_v: Tensor, seen_u: Tensor
) -> tuple[Tensor, Tensor]:
    return v + skip.vertical(both_signs(seen_v)), u + skip.horizontal(both_signs(seen_u))


def _log_likelihood(parameters: Tensor, x: Tensor) -> Tensor:
    """Of the mixture: every case is computed, and masks choose."""
    (size, _, height, width), count = parameters.shape, COMPONENTS
    logits, *others = parameters.split([count, 3 * count, 3 * count, 3 * count], 1)
    means, log_scales, coefficients = (
        part.reshape(size, count, 3, height, width) for part in others
    )
    log_scales, coefficients = log_scales.clamp(min=-7), torch.tanh(coefficients)
    x = x.unsqueeze(1)
    green = means[:, :, 1] + coefficients[:, :, 0] * x[:, :, 0]
    blue = means[:, :, 2] + coefficients[:, :, 1] * x[:, :, 0] + coefficients[:, :, 2] * x[:, :, 1]
    distances = x - torch.stack([means[:, :, 0], green, blue], 2)
    per_unit = torch.exp(-log_scales)
    upper, lower = per_unit * (distances + _HALF_STEP), per_unit * (distances - _HALF_STEP)
    middle = per_unit * distances
    mass = torch.sigmoid(upper) - torch.sigmoid(lower)
    density = middle - log_scales - 2 * F.softplus(middle) + math.log(2 * _HALF_STEP)
    large = (mass > _LEAST_DIFFERENCE).float()
    log_mass = torch.log(mass + _TINY) * large + density * (1 - large)
    inside = (x >= -1 + _HALF_STEP).float()
    log_mass = log_mass * inside + (upper - F.softplus(upper)) * (1 - inside)
    inside = (x <= 1 - _HALF_STEP).float()
    log_mass = log_mass * inside - F.softplus(lower) * (1 - inside)
    scores = log_mass.sum(2) + F.log_softmax(logits, 1)
    return torch.logsumexp(scores, 1).flatten(1).sum(1)


def plain_vae() -> PlainVae:
    """That of CIFAR-10."""
    return PlainVae(
        PlainDenseNet(),
        PlainHead(),
        PlainPrior(MaskedNetwork),
        PlainPixelCnnPlusPlus(),
        eta=ETA,
        gamma=GAMMA,
    )
