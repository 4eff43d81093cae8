"""The convolutional networks of AR-ELBO, a line a stage as its appendices print them.

`plain` is that of Appendix D.1 (Tables 1, 5), `mnist` of J.1 and `celeba` of J.2 (Tables 3, 4).
The outputs of every layer are multiplied by `width`; 1 is the paper. Paddings are not printed: they
are those that halve, double or keep the image. PyTorch's initialisation throughout.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

_HALVINGS = {"plain": 2, "mnist": 2, "celeba": 4}


class ConvolutionalEncoder(nn.Module):
    """x [B, C, H, W] -> [B, features]."""

    def __init__(self, network: str, shape: Sequence[int], width: float) -> None:
        super().__init__()
        n, (rows, columns) = _scaled(width), _halved(network, shape, _HALVINGS)
        match network:
            case "plain":
                layers = [
                    *_halving(shape[0], n(64), 4),
                    *_halving(n(64), n(128), 4),
                    nn.Flatten(),
                    *_dense(rows * columns * n(128), n(1024)),
                ]
            case "mnist":  # no batch norm after the convolutions, unlike InfoGAN
                layers = [
                    *_halving(shape[0], n(64), 5),
                    *_halving(n(64), n(128), 5),
                    nn.Flatten(),
                    *_dense(rows * columns * n(128), n(1024), nn.BatchNorm1d),
                ]
            case _:
                layers = [
                    *_halving(shape[0], n(128), 5),
                    *_halving(n(128), n(256), 5, nn.BatchNorm2d),
                    *_halving(n(256), n(512), 5, nn.BatchNorm2d),
                    *_halving(n(512), n(1024), 5, nn.BatchNorm2d),
                    nn.Flatten(),
                ]
        self.features = rows * columns * n(1024) if network == "celeba" else n(1024)
        self.layers = nn.Sequential(*layers).to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        h: Tensor = self.layers(x)
        return h


class ConvolutionalGenerator(nn.Module):
    """z [N, K] -> [N, C + variances, H, W], before an activation of the output.

    The last `variances` channels start at zero for every z: they are log variances (see
    `gaussian_decoder.PredictedVariance`).
    """

    def __init__(
        self, network: str, latent: int, shape: Sequence[int], variances: int, width: float
    ) -> None:
        super().__init__()
        # The decoder of J.2 starts from 8x8, its encoder ends in 4x4.
        n, top = _scaled(width), _halved(network, shape, _HALVINGS | {"celeba": 3})
        area, outputs = top[0] * top[1], shape[0] + variances
        match network:
            case "plain":
                layers = [
                    *_dense(latent, n(1024)),
                    *_dense(n(1024), n(128) * area),
                    nn.Unflatten(1, (n(128), *top)),
                    *_doubling(n(128), n(64), 4),
                ]
                last = nn.ConvTranspose2d(n(64), outputs, 4, stride=2, padding=1)
            case "mnist":  # 5x5 "except for the last", which must double the image like the rest
                layers = [
                    *_dense(latent, n(1024), nn.BatchNorm1d),
                    *_dense(n(1024), n(128) * area, nn.BatchNorm1d),
                    nn.Unflatten(1, (n(128), *top)),
                    *_doubling(n(128), n(64), 5, nn.BatchNorm2d),
                ]
                last = nn.ConvTranspose2d(n(64), outputs, 4, stride=2, padding=1)
            case _:  # as printed, the first two stages have no batch norm and the first no ReLU
                layers = [
                    nn.Linear(latent, n(1024) * area),
                    nn.Unflatten(1, (n(1024), *top)),
                    *_doubling(n(1024), n(512), 5),
                    *_doubling(n(512), n(256), 5, nn.BatchNorm2d),
                    *_doubling(n(256), n(128), 5, nn.BatchNorm2d),
                ]
                last = nn.ConvTranspose2d(n(128), outputs, 5, stride=1, padding=2)
        with torch.no_grad():
            last.weight[:, shape[0] :] = 0
            last.bias[shape[0] :] = 0  # type: ignore[index]
        self.layers = nn.Sequential(*layers, last).to(memory_format=torch.channels_last)

    def forward(self, z: Tensor) -> Tensor:
        images: Tensor = self.layers(z)
        return images


def _scaled(width: float) -> Callable[[int], int]:
    """From an output size of the paper to ours, at least 1."""
    if isinstance(width, bool) or not isinstance(width, int | float) or not 0 < width <= 16:
        raise ValueError(f"width is {width!r}; expected a factor above 0, at most 16")
    return lambda size: max(1, round(width * size))


def _halved(network: str, shape: Sequence[int], halvings: dict[str, int]) -> tuple[int, int]:
    """Height and width of the image at the narrow end of a network."""
    if network not in _HALVINGS:
        raise ValueError(f"network is {network!r}; expected {', '.join(_HALVINGS)}")
    height, width = shape[1:]
    needed = 2 ** _HALVINGS[network]
    if height % needed or width % needed:
        raise ValueError(f"network {network} needs multiples of {needed}, not {height}x{width}")
    factor = 2 ** halvings[network]
    return height // factor, width // factor


def _dense(inputs: int, outputs: int, norm: type[nn.Module] | None = None) -> Iterator[nn.Module]:
    yield nn.Linear(inputs, outputs)
    yield from _activation(outputs, norm)


def _halving(
    inputs: int, outputs: int, kernel: int, norm: type[nn.Module] | None = None
) -> Iterator[nn.Module]:
    yield nn.Conv2d(inputs, outputs, kernel, stride=2, padding=(kernel - 1) // 2)
    yield from _activation(outputs, norm)


def _doubling(
    inputs: int, outputs: int, kernel: int, norm: type[nn.Module] | None = None
) -> Iterator[nn.Module]:
    padding, odd = (kernel - 1) // 2, kernel % 2
    yield nn.ConvTranspose2d(inputs, outputs, kernel, 2, padding, output_padding=odd)
    yield from _activation(outputs, norm)


def _activation(channels: int, norm: type[nn.Module] | None) -> Iterator[nn.Module]:
    if norm is not None:
        yield norm(channels)
    yield nn.ReLU()
