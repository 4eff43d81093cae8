"""Data and a model whose codes are known: pixels with noise."""

from dataclasses import replace

import numpy as np
import torch
from fixtures import dataset

from vaebench.data.dataset import Dataset, ImageSplit
from vaebench.models.posteriors import GaussianPosterior

LATENT, CLASSES = 4, 3


class Pixels:
    """q(z|x) is a Gaussian of variance `variance` around ten times the pixels."""

    def __init__(self, variance=0.01):
        self.log_variance = float(np.log(variance))

    def infer(self, x):
        means = 10 * x.flatten(1)
        return GaussianPosterior(means, torch.full_like(means, self.log_variance))


def split(codes, labels):
    """Images whose pixels are codes in [0, 1]."""
    images = torch.as_tensor(np.round(255 * np.asarray(codes)).astype(np.uint8))
    return ImageSplit(images.view(-1, 1, 2, 2), torch.as_tensor(labels).long())


def clouds(size, spread, seed=0):
    """Codes [size, LATENT] around a centre a class, and their classes."""
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(size) % CLASSES)
    centres = np.array([[0.2, 0.2, 0.7, 0.5], [0.8, 0.3, 0.3, 0.5], [0.4, 0.8, 0.6, 0.5]])
    codes = centres[labels] + spread * rng.standard_normal((size, LATENT))
    return codes.clip(0, 1), labels


def clouded(train=70, test=41, spread=0.25) -> Dataset:
    """Training and test images of overlapping classes."""
    whole = dataset(train, test, (1, 2, 2))
    parts = split(*clouds(train, spread)), split(*clouds(test, spread, 1))
    return replace(whole, train=parts[0], test=parts[1])


def codes_of(part):
    """What `Pixels` has as the mean of every image, float64 [N, LATENT]."""
    return 10 * (part.images.float() / 255).flatten(1).double().numpy()
