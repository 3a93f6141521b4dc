"""Damages of known amount to real pictures: the marks of the ruler (metrics/ruler.py).

Pictures are uint8 (N, C, H, W). rngs: one generator for each picture, so the result does not depend on which
pictures are damaged together.
"""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

MOST_PATCHES = 8  # a side


def blurred(images: np.ndarray, rngs: Sequence[np.random.Generator], sigma: float) -> np.ndarray:
    """A Gaussian blur of `sigma` pixels. The border is mirrored, which keeps the mean. rngs: not used."""
    smooth = ndimage.gaussian_filter(images.astype(np.float64), sigma, mode="reflect", axes=(2, 3))
    return _as_pictures(smooth)


def noisy(images: np.ndarray, rngs: Sequence[np.random.Generator], deviation: float) -> np.ndarray:
    """Gaussian noise of this standard deviation, in grey levels of 255, on each pixel."""
    return _as_pictures(images + np.stack([rng.normal(0, deviation, images.shape[1:]) for rng in rngs]))


def patches(side: int) -> int:
    """How many patches a side `shuffled` cuts: the most, up to MOST_PATCHES, that divide the side."""
    return next(count for count in range(MOST_PATCHES, 0, -1) if side % count == 0)


def shuffled(images: np.ndarray, rngs: Sequence[np.random.Generator]) -> np.ndarray:
    """The square patches of each picture in random order. Every pixel value stays."""
    count, channels, side, _ = images.shape
    grid = patches(side)
    patch = side // grid
    cut = images.reshape(count, channels, grid, patch, grid, patch).transpose(0, 2, 4, 1, 3, 5)
    cut = cut.reshape(count, grid * grid, channels, patch, patch)
    mixed = np.stack([picture[rng.permutation(grid * grid)] for picture, rng in zip(cut, rngs, strict=True)])
    mixed = mixed.reshape(count, grid, grid, channels, patch, patch).transpose(0, 3, 1, 4, 2, 5)
    return mixed.reshape(images.shape)


def class_means(images: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """The mean picture of each class: uint8 (classes, C, H, W). labels: int64 (N,), with every class."""
    sums, counts = np.zeros((classes, *images.shape[1:])), np.bincount(labels, minlength=classes)
    for image, label in zip(images, labels, strict=True):  # images may be memory-mapped and large
        sums[label] += image
    return _as_pictures(sums / counts[:, None, None, None])


def _as_pictures(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)
