"""Seeded draws that stay the same on every machine and with every version of NumPy.

NumPy keeps the raw stream of a bit generator for ever, but not what a `Generator` makes of it.
"""

import math

import numpy as np
from numpy.typing import NDArray

Index = NDArray[np.int64]
Bytes = NDArray[np.uint8]


def permutation(size: int, seed: int) -> Index:
    """A seeded order of 0 … size - 1."""
    keys = np.random.PCG64(seed).random_raw(size)
    return np.argsort(keys, kind="stable").astype(np.int64)


def drawn(count: int, size: int, seed: int) -> Index:
    """Ascending indices of at most `size` of `count` examples, each as likely as any other.

    A larger draw of the same seed has every example of a smaller one.
    """
    return np.sort(permutation(count, seed)[:size])


def balanced(labels: NDArray[np.integer], size: int, seed: int) -> Index:
    """Ascending indices of at most `size` examples whose class counts differ by at most one.

    `labels` [N]. A class with too few examples gives all it has, the others make up for it.
    A larger draw of the same seed has every example of a smaller one.
    """
    order = permutation(len(labels), seed)
    ranks = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        members = order[labels[order] == label]
        ranks[members] = np.arange(len(members))
    # The first example of every class, then the second of every class, and so on.
    rounds = order[np.argsort(ranks[order], kind="stable")]
    return np.sort(rounds[:size])


def uniform(size: int, seed: int) -> NDArray[np.float32]:
    """Numbers [size] in [0, 1), multiples of 2**-24."""
    raw = np.random.PCG64(seed).random_raw(size)
    return (raw >> np.uint64(40)).astype(np.float32) / np.float32(1 << 24)


def normal(size: int, seed: int) -> NDArray[np.float64]:
    """Standard normal numbers [size], by Box and Muller's transform of uniform ones."""
    first, second = uniform(2 * size, seed).astype(np.float64).reshape(size, 2).T
    numbers: NDArray[np.float64] = np.sqrt(-2 * np.log1p(-first)) * np.cos(2 * np.pi * second)
    return numbers


def binarised(images: Bytes, places: Index, seed: int) -> Bytes:
    """The images [n,...] with 255 where a draw of probability grey / 255 succeeds, else 0.

    `places` [n], ascending, say where in their split they lie: an image is drawn by the seed and
    its place alone, whatever others are kept.
    """
    size, bits, at = math.prod(images.shape[1:]), np.random.PCG64(seed), 0
    drawn = np.empty_like(images)
    for row, place in enumerate(places.tolist()):
        bits.advance((place - at) * size)
        at = place + 1
        high = bits.random_raw(size) >> np.uint64(32)
        below = high * np.uint64(255) >> np.uint64(32)  # each of 0 … 254 equally likely
        ink = below.reshape(images.shape[1:]) < images[row]
        drawn[row] = np.where(ink, np.uint8(255), np.uint8(0))
    return drawn
