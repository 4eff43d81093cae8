"""The Inception-v3 network of the Frechet Inception distance.

Port of pytorch-fid (github.com/mseitzer/pytorch-fid, Apache-2.0), itself one of the TensorFlow
graph of 2015-12-05 by which FIDs are reported. It differs from torchvision's in weights and pools.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from vaebench.errors import UserError

Pool = Callable[[Tensor], Tensor]

_SIZE = 299
_CLASSES = 1008
_BATCH = 50  # images of 299 x 299 at a time


class FidInception(nn.Module):
    """Images [B, 1 or 3, H, W] in [0, 1] -> pool3 features [B, 2048].

    `network` is torchvision's, by whose names the weights are stored.
    """

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return torch.cat([self._features(some) for some in torch.split(images, _BATCH)])

    def _features(self, images: Tensor) -> Tensor:
        x = images.expand(-1, 3, -1, -1)
        x = F.interpolate(x, size=(_SIZE, _SIZE), mode="bilinear", align_corners=False)
        x = 2 * x - 1
        net = self.network
        for layer in (net.Conv2d_1a_3x3, net.Conv2d_2a_3x3, net.Conv2d_2b_3x3, net.maxpool1):
            x = layer(x)
        for layer in (net.Conv2d_3b_1x1, net.Conv2d_4a_3x3, net.maxpool2):
            x = layer(x)
        for block in (net.Mixed_5b, net.Mixed_5c, net.Mixed_5d):
            x = _block_a(block, x)
        x = net.Mixed_6a(x)
        for block in (net.Mixed_6b, net.Mixed_6c, net.Mixed_6d, net.Mixed_6e):
            x = _block_c(block, x)
        x = _block_e(net.Mixed_7b, net.Mixed_7a(x), _mean_pool)
        return _block_e(net.Mixed_7c, x, _max_pool).mean((2, 3))


def build() -> FidInception:
    """The network without its weights."""
    # Here, so that all else works where torchvision does not fit torch.
    from torchvision.models.inception import Inception3

    network = Inception3(
        num_classes=_CLASSES, aux_logits=False, transform_input=False, init_weights=False
    )
    return FidInception(network).eval().requires_grad_(False)


def load(path: Path) -> FidInception:
    """The network with the weights of pytorch-fid's file, in evaluation mode, on the CPU."""
    model = build()
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
        model.network.load_state_dict(weights)
    except FileNotFoundError as error:
        raise UserError(f"{path}: the Inception weights are not there") from error
    except Exception as error:  # another file may raise almost anything
        what, _, _ = str(error).partition("\n")
        raise UserError(
            f"{path}: not the Inception weights of pytorch-fid, "
            f"pt_inception-2015-12-05-6726825d.pth: {what}"
        ) from error
    return model


def _chain(x: Tensor, *layers: Callable[[Tensor], Tensor]) -> Tensor:
    for layer in layers:
        x = layer(x)
    return x


def _mean_pool(x: Tensor) -> Tensor:
    """TensorFlow's mean, which leaves the padding out."""
    return F.avg_pool2d(x, kernel_size=3, stride=1, padding=1, count_include_pad=False)


def _max_pool(x: Tensor) -> Tensor:
    """What the last block of that graph has for a mean."""
    return F.max_pool2d(x, kernel_size=3, stride=1, padding=1)


def _block_a(block: Any, x: Tensor) -> Tensor:
    branches = [
        block.branch1x1(x),
        _chain(x, block.branch5x5_1, block.branch5x5_2),
        _chain(x, block.branch3x3dbl_1, block.branch3x3dbl_2, block.branch3x3dbl_3),
        block.branch_pool(_mean_pool(x)),
    ]
    return torch.cat(branches, 1)


def _block_c(block: Any, x: Tensor) -> Tensor:
    double = [getattr(block, f"branch7x7dbl_{number}") for number in range(1, 6)]
    branches = [
        block.branch1x1(x),
        _chain(x, block.branch7x7_1, block.branch7x7_2, block.branch7x7_3),
        _chain(x, *double),
        block.branch_pool(_mean_pool(x)),
    ]
    return torch.cat(branches, 1)


def _block_e(block: Any, x: Tensor, pool: Pool) -> Tensor:
    single = block.branch3x3_1(x)
    double = _chain(x, block.branch3x3dbl_1, block.branch3x3dbl_2)
    branches = [
        block.branch1x1(x),
        block.branch3x3_2a(single),
        block.branch3x3_2b(single),
        block.branch3x3dbl_3a(double),
        block.branch3x3dbl_3b(double),
        block.branch_pool(pool(x)),
    ]
    return torch.cat(branches, 1)
