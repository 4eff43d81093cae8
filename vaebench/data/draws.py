"""Seeded draws that stay the same on every machine and with every version of NumPy."""

import numpy as np
from numpy.typing import NDArray

Index = NDArray[np.int64]


def permutation(size: int, seed: int) -> Index:
    """A seeded order of 0 … size - 1.

    NumPy keeps the raw stream of a bit generator for ever, but not `Generator.permutation`.
    """
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
