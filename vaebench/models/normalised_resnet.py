"""The residual networks of MAE's binary images, as the authors' code has them: an encoder with its
head, and a decoder of independent pixels. All layers are weight-normalised."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vaebench.estimators import bernoulli
from vaebench.models.activations import elu
from vaebench.models.posteriors import GaussianPosterior
from vaebench.models.weight_norm import Convolution, Linear, TransposedConvolution


class NormalisedResNetEncoder(nn.Module):
    """x [B, C, H, W] -> h [B, features]: blocks of so many channels, each of which halves the
    image, and one convolution that is as large as what is left.

    The paper: channels (32, 64, 64), 512 features.
    """

    def __init__(self, shape: Sequence[int], channels: Sequence[int], features: int) -> None:
        super().__init__()
        inputs, *size = shape
        blocks: list[nn.Module] = []
        for outputs in channels:
            blocks.append(HalvingBlock(inputs, outputs))
            inputs = outputs
        rows, columns = _halved(size, len(channels))[-1]
        self.features = features
        self.blocks = nn.Sequential(*blocks)
        self.last = Convolution(inputs, features, (rows, columns))
        self.to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        return elu(self.last(self.blocks(x))).flatten(1)


class HalvingBlock(nn.Module):
    """Two 3x3 convolutions, the first with stride 2, added to a 1x1 convolution with stride 2."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.first = Convolution(inputs, outputs, 3, stride=2, padding=1)
        self.second = Convolution(outputs, outputs, 3, padding=1)
        self.shortcut = Convolution(inputs, outputs, 1, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        return elu(self.second(elu(self.first(x))).add_(self.shortcut(x)))


class NormalisedGaussianHead(nn.Module):
    """One weight-normalised linear map to means and log variances."""

    def __init__(self, features: int, latent: int) -> None:
        super().__init__()
        self.linear = Linear(features, 2 * latent)

    def forward(self, h: Tensor) -> GaussianPosterior:
        parameters = self.linear(h).to(self.linear.bias.dtype)  # under autocast, as in heads.py
        return GaussianPosterior(*parameters.chunk(2, dim=-1))


class NormalisedResNetDecoder(nn.Module):
    """Bernoulli pixels, independent given z: one transposed convolution to so many channels, and
    blocks to the next ones and at last to the image, each of which doubles it.

    The paper: channels (64, 64, 32).
    """

    def __init__(self, latent: int, shape: Sequence[int], channels: Sequence[int]) -> None:
        super().__init__()
        self.shape = tuple(shape)
        *sizes, smallest = _halved(shape[1:], len(channels))
        outputs = [*channels[1:], shape[0]]
        self.first = TransposedConvolution(latent, channels[0], smallest, stride=1)
        self.blocks = nn.Sequential(*map(DoublingBlock, channels, outputs, reversed(sizes)))
        self.to(memory_format=torch.channels_last)

    @property
    def constant_variance(self) -> None:
        """A Bernoulli has no variance of its own."""

    def logits(self, z: Tensor) -> Tensor:
        """[..., K] -> [..., C, H, W]; all leading axes go through as one batch."""
        codes = z.flatten(0, -2)[..., None, None]
        return torch.unflatten(self.blocks(elu(self.first(codes))), 0, z.shape[:-1])

    def log_prob(self, x: Tensor, z: Tensor) -> Tensor:
        """log p(x|z) in nats, summed over pixels: x [B, C, H, W], z [S, B, K] -> [S, B]."""
        logits = self.logits(z).to(x.dtype)  # from bfloat16 under autocast
        return bernoulli.log_likelihood(logits.flatten(2), x.flatten(1))

    def mean(self, z: Tensor) -> Tensor:
        """E[x|z], the pixel probabilities: [..., K] -> [..., C, H, W]."""
        return torch.sigmoid(self.logits(z))

    def sample(self, z: Tensor) -> Tensor:
        """Binary images drawn from p(x|z): [..., K] -> [..., C, H, W]."""
        return torch.bernoulli(self.mean(z))


class DoublingBlock(nn.Module):
    """Of elu(x), two 3x3 transposed convolutions, the first with stride 2, added to a 1x1 one with
    stride 2. `size` is that of the outputs, twice the inputs' or one less."""

    def __init__(self, inputs: int, outputs: int, size: tuple[int, int]) -> None:
        super().__init__()
        even = (1 - size[0] % 2, 1 - size[1] % 2)
        self.first = TransposedConvolution(
            inputs, outputs, 3, stride=2, padding=1, output_padding=even
        )
        self.second = TransposedConvolution(outputs, outputs, 3, stride=1, padding=1)
        self.shortcut = TransposedConvolution(inputs, outputs, 1, stride=2, output_padding=even)

    def forward(self, x: Tensor) -> Tensor:
        h = elu(x)
        outputs: Tensor = self.second(elu(self.first(h)))
        return outputs.add_(self.shortcut(h))


def _halved(size: Sequence[int], times: int) -> list[tuple[int, int]]:
    """Height and width of an image, and after each of so many halvings, rounded up."""
    rows, columns = size
    return [(-(-rows // 2**n), -(-columns // 2**n)) for n in range(times + 1)]
