"""Planted failures: a check that cannot fail is worthless, so every audit must catch these first."""

from collections.abc import Callable

import numpy as np

from aigc.metrics import memorization

NOISE = 10.0  # grey levels of 255, standard deviation


def noisy(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """uint8 (n, C, H, W) with slight Gaussian noise on each pixel."""
    return np.clip(np.rint(images + rng.normal(0, NOISE, images.shape)), 0, 255).astype(np.uint8)


def moved(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each shifted by one pixel (of those that are compared) in one of the eight directions; what comes in repeats the edge."""
    unit = max(1, -(-images.shape[2] // memorization.LARGEST_SIDE))
    ways = [(rows, columns) for rows in (-unit, 0, unit) for columns in (-unit, 0, unit) if (rows, columns) != (0, 0)]
    chosen = rng.integers(len(ways), size=len(images))
    height, width = images.shape[2:]
    wide = np.pad(images, ((0, 0), (0, 0), (unit, unit), (unit, unit)), mode="edge")
    corners = [(unit - ways[way][0], unit - ways[way][1]) for way in chosen]
    return np.stack([image[:, top:top + height, left:left + width] for image, (top, left) in zip(wide, corners, strict=True)])


def mirrored(images: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Each left to right."""
    return images[..., ::-1]


COPYCATS: dict[str, Callable[[np.ndarray, np.random.Generator], np.ndarray]] = {
    "noise": noisy, "shift": moved, "flip": mirrored,
}


def copycat(train: np.ndarray, count: int, how: str, rng: np.random.Generator) -> np.ndarray:
    """What a generator would make that knows nothing but the training pictures: uint8 (min(count, N), C, H, W).

    Draws without replacement and adds slight noise to what it shifts or flips too, so that no copy is exact.
    """
    chosen = np.sort(rng.permutation(len(train))[:count])
    copies = COPYCATS[how](np.asarray(train[chosen]), rng)
    return copies if how == "noise" else noisy(copies, rng)
