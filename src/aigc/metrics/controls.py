"""Copies of training pictures, made on purpose: the memorization audit must detect them."""

from collections.abc import Callable

import numpy as np

from aigc.metrics import memorization

NOISE = 10.0  # standard deviation in grey levels of 255


def with_noise(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """uint8 (n, C, H, W) with slight Gaussian noise on each pixel."""
    return np.clip(np.rint(images + rng.normal(0, NOISE, images.shape)), 0, 255).astype(np.uint8)


def shifted(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each picture shifted by one pixel, in one of eight directions. The edge is repeated.

    One pixel is meant at the size at which the audit compares pictures.
    """
    step = max(1, -(-images.shape[2] // memorization.MAX_SIDE))
    directions = [(rows, columns) for rows in (-step, 0, step) for columns in (-step, 0, step)
                  if (rows, columns) != (0, 0)]
    drawn = rng.integers(len(directions), size=len(images))
    height, width = images.shape[2:]
    padded = np.pad(images, ((0, 0), (0, 0), (step, step), (step, step)), mode="edge")
    corners = [(step - directions[index][0], step - directions[index][1]) for index in drawn]
    return np.stack([image[:, top:top + height, left:left + width]
                     for image, (top, left) in zip(padded, corners, strict=True)])


def mirrored(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each picture mirrored left to right."""
    return images[..., ::-1]


COPYCATS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "noise": with_noise, "shift": shifted, "flip": mirrored,
}


def copycat(train: np.ndarray, count: int, alteration: str, rng: np.random.Generator) -> np.ndarray:
    """The samples of a generator that only copies training pictures: uint8 (min(count, N), C, H, W).

    alteration: a key of COPYCATS. Drawn without replacement. Shifted and mirrored copies have noise too: no
    copy is exact.
    """
    rows = np.sort(rng.permutation(len(train))[:count])
    copies = COPYCATS[alteration](np.asarray(train[rows]), rng)
    return copies if alteration == "noise" else with_noise(copies, rng)
