"""Data as a run sees it: splits on a device, from which batches are taken by index."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol, Self

import torch
from torch import Tensor

from vaebench.data.assets import Kind
from vaebench.data.tokenizers import PAD, Tokenizer

Pixels = Callable[[Tensor], Tensor]


def real(images: Tensor) -> Tensor:
    """Grey values in [0, 1]: float32 from uint8."""
    return images.to(torch.float32).div_(255)


def bernoulli(images: Tensor) -> Tensor:
    """0 or 1, 1 with probability grey / 255, drawn by the global generator of the device."""
    return torch.randint_like(images, 255).lt(images).to(torch.float32)


def symmetric(images: Tensor) -> Tensor:
    """2 value / 255 - 1, in [-1, 1]: float32 from uint8."""
    return images.to(torch.float32).mul_(2).sub_(255).div_(255)


# How a view shows the stored pixels of training images, from uint8 [B,C,H,W] to float32; unset
# means real. Those of other splits are shown alike, but binary ones are stored as they were drawn;
# thresholded ones are stored so in all splits.
PIXELS: dict[str | None, Pixels] = {
    None: real,
    "real": real,
    "symmetric": symmetric,
    "thresholded": real,
    "binary": bernoulli,
}


@dataclass(frozen=True)
class Batch:
    """Some examples. `x` are images, float32 [B,C,H,W], or sentences, int64 [B,T]: <s>, words and
    </s>, then padding to the longest. `y` int64 [B], or [B,A] for attributes."""

    x: Tensor
    y: Tensor

    @property
    def terms(self) -> Tensor:
        """Over how many terms a mean per datum is spread, 0-dim: words to predict, or data."""
        if self.x.is_floating_point():
            return torch.tensor(len(self.x))
        return (self.x[:, 1:] != PAD).sum()


class Split(Protocol):
    """All examples of a split on one device; `labels` [N] are classes, [N,A] attributes of 0 and 1,
    int64."""

    @property
    def labels(self) -> Tensor: ...

    def __len__(self) -> int: ...

    def to(self, device: torch.device | str) -> Self:
        """The same split on another device."""
        ...

    def take(self, index: Tensor) -> Batch:
        """The examples at `index` (int64 [B])."""
        ...

    @property
    def tensors(self) -> Mapping[str, Tensor]:
        """All that it holds, by name, the labels last."""
        ...


@dataclass(frozen=True)
class ImageSplit:
    """`images` uint8 [N,C,H,W]."""

    images: Tensor
    labels: Tensor
    pixels: Pixels = real

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device | str) -> "ImageSplit":
        """The same split on another device."""
        return replace(self, images=self.images.to(device), labels=self.labels.to(device))

    def take(self, index: Tensor) -> Batch:
        """The examples at `index` (int64 [B], on the same device)."""
        images = self.images.index_select(0, index)
        return Batch(self.pixels(images), self.labels.index_select(0, index))

    @property
    def tensors(self) -> Mapping[str, Tensor]:
        """The stored images and the labels."""
        return {"images": self.images, "labels": self.labels}


@dataclass(frozen=True)
class TextSplit:
    """Sentences one after the other: `tokens` int32 [sum of lengths], each with its <s> and </s>.

    `lengths` int64 [N] count both; they stay on the CPU, so that a GPU is not waited for to learn
    how long the longest of a batch is.
    """

    tokens: Tensor
    lengths: Tensor
    labels: Tensor
    starts: Tensor = field(init=False)

    def __post_init__(self) -> None:
        starts = self.lengths.cumsum(0) - self.lengths
        object.__setattr__(self, "starts", starts.to(self.tokens.device))

    def __len__(self) -> int:
        return len(self.labels)

    def to(self, device: torch.device | str) -> "TextSplit":
        """The same split on another device."""
        return TextSplit(self.tokens.to(device), self.lengths, self.labels.to(device))

    def take(self, index: Tensor) -> Batch:
        """The sentences at `index` (int64 [B]), quickest if it lies on the CPU."""
        lengths = self.lengths.index_select(0, index.cpu())
        longest, index = int(lengths.max()), index.to(self.tokens.device)
        steps = torch.arange(longest, device=index.device)
        places = self.starts.index_select(0, index)[:, None] + steps
        x = self.tokens[places.clamp_max_(len(self.tokens) - 1)].long()
        if int(lengths.min()) < longest:
            x = x.masked_fill(steps >= lengths.to(index.device)[:, None], PAD)
        return Batch(x, self.labels.index_select(0, index))

    def buckets(self, size: int) -> list[Tensor]:
        """Sentences of equal length, at most `size` at a time, the shortest first: their indices,
        int64 on the CPU, in the order of the data."""
        order = self.lengths.argsort(stable=True)
        counts = torch.bincount(self.lengths)
        equal = torch.split(order, counts[counts > 0].tolist())
        return [part for some in equal for part in torch.split(some, size)]

    def some(self, index: Tensor) -> "TextSplit":
        """The split of those at `index` (int64 [n], on the CPU) alone."""
        kept = self.lengths.index_select(0, index)
        ends = kept.cumsum(0)
        first = (self.starts.cpu().index_select(0, index) - (ends - kept)).repeat_interleave(kept)
        places = first + torch.arange(int(kept.sum()))
        device = self.tokens.device
        labels = self.labels.index_select(0, index.to(device))
        return TextSplit(self.tokens.index_select(0, places.to(device)), kept, labels)

    @property
    def tensors(self) -> Mapping[str, Tensor]:
        """The tokens, the lengths and the labels."""
        return {"tokens": self.tokens, "lengths": self.lengths, "labels": self.labels}


@dataclass(frozen=True)
class DataInfo:
    """What a model must know of its data; the sizes are those of the view.

    `shape` is (C,H,W), and () for text, which has a `vocabulary` of so many ids and a `longest`
    sentence of so many, <s> and </s> among them. A set has `classes` or `attributes`, or neither.
    """

    name: str
    kind: Kind
    shape: tuple[int, ...]
    classes: int
    train_size: int
    test_size: int
    validation_size: int = 0
    attributes: int = 0
    vocabulary: int = 0
    longest: int = 0


@dataclass(frozen=True)
class Dataset:
    """A view of a data set; `sha256` is that of its tensors, so of what a run really sees.

    `cache` is a folder, perhaps not yet there, for what is computed once from these tensors.
    `class_groups` int64 [classes] is the group of every class, such as the alphabet of a
    character, where classes come in groups. `tokenizer` turns the ids of text into words.
    """

    train: Split
    test: Split
    info: DataInfo
    sha256: str
    validation: Split | None = None
    cache: Path | None = None
    class_groups: Tensor | None = None
    tokenizer: Tokenizer | None = None

    def to(self, device: torch.device | str) -> "Dataset":
        """The same data on another device."""
        return replace(
            self,
            train=self.train.to(device),
            test=self.test.to(device),
            validation=None if self.validation is None else self.validation.to(device),
            class_groups=None if self.class_groups is None else self.class_groups.to(device),
        )
