"""Which examples make a batch."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from vaebench.data.dataset import TextSplit
from vaebench.errors import UserError
from vaebench.registry.runs import Training
from vaebench.training.examples import Examples


class Batching:
    """Batches of some examples, as indices int64 [B].

    Uniform: a permutation of the examples, cut into batches. In buckets: batches of sentences of
    equal length, made once, and a permutation of these.
    """

    def __init__(self, examples: Examples, training: Training, device: torch.device) -> None:
        self._size, self._training, self._device = len(examples), training, device
        self._buckets: list[Tensor] | None = None
        if training.buckets is not None:
            if not isinstance(examples, TextSplit):
                raise UserError("training.buckets: only sentences have a length; leave buckets out")
            self._buckets = examples.buckets(training.batch_size)
            least = training.buckets.least
            self._trained = [index for index in self._buckets if len(index) >= least]
            if not self._trained:
                raise UserError(
                    f"training.buckets: no {least} training sentences have the same length; "
                    "a smaller `least`, or more data"
                )

    def epoch(self, seed: int, epoch: int) -> Sequence[Tensor]:
        """What is trained on in an epoch, a function of it and of the seed."""
        if self._buckets is not None:
            return [self._trained[i] for i in epoch_order(len(self._trained), seed, epoch).tolist()]
        order = epoch_order(self._size, seed, epoch).to(self._device)
        batches = torch.split(order, self._training.batch_size)
        drop = self._training.drop_last and len(batches[-1]) < self._training.batch_size
        return batches[:-1] if drop and len(batches) > 1 else batches

    def everything(self) -> Sequence[Tensor]:
        """All examples once, in the order of the data, or by length."""
        if self._buckets is not None:
            return self._buckets
        order = torch.arange(self._size, device=self._device)
        return torch.split(order, self._training.batch_size)

    def at_random(self) -> Iterator[Tensor]:
        """Batches without end: some examples of each, or a bucket, of any size."""
        while True:
            if self._buckets is not None:
                yield self._buckets[int(torch.randint(len(self._buckets), ()))]
            else:
                drawn = torch.randperm(self._size)[: self._training.batch_size]
                yield drawn.to(self._device)


def epoch_order(size: int, seed: int, epoch: int) -> Tensor:
    """The order of the data in an epoch: a function of seed and epoch, so it needs no memory."""
    generator = torch.Generator().manual_seed(seed * 1_000_003 + epoch)
    return torch.randperm(size, generator=generator)
