"""A small set of digits made in code, for runs that must not need a download."""

import numpy as np
from numpy.typing import NDArray

from vaebench.data.draws import permutation

_TRAIN = 1_500
_SPLIT_SEED = 20_260_101


def make() -> dict[str, NDArray[np.uint8]]:
    """The four parts of `digits-28x28`: images [N,28,28] and labels [N], in a fixed split.

    Each of scikit-learn's 8x8 pixels becomes a block of 3x3, with a margin of 2 around; its
    values 0 to 16 become 0 to 255, rounded half up.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    small = digits.images.astype(np.int64)
    grey = ((small * 255 + 8) // 16).astype(np.uint8)
    images = np.pad(grey.repeat(3, axis=1).repeat(3, axis=2), ((0, 0), (2, 2), (2, 2)))
    labels = digits.target.astype(np.uint8)
    order = permutation(len(labels), _SPLIT_SEED)
    train, test = order[:_TRAIN], order[_TRAIN:]
    return {
        "train-images": images[train],
        "train-labels": labels[train],
        "test-images": images[test],
        "test-labels": labels[test],
    }
