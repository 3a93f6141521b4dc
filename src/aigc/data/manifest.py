"""The manifest: one row a picture, with what can be measured of it. Judged by data/expectations.py."""

import hashlib
from collections.abc import Iterator

import numpy as np
import pandas as pd

from aigc.data.pictures import Pictures

ROWS = 1024
INK = 128  # a pixel at least this bright (of 255) counts as ink
MODES = {1: "L", 3: "RGB"}
MEASURED = ["sha256", "mean", "std", "minimum", "maximum", "ink_fraction", "height", "width", "mode"]


def measure(images: np.ndarray) -> pd.DataFrame:
    """The measured columns of uint8 (N, C, H, W), computed a chunk at a time."""
    return pd.concat(list(_chunks(images)), ignore_index=True)


def _chunks(images: np.ndarray) -> Iterator[pd.DataFrame]:
    for start in range(0, len(images), ROWS):
        chunk = np.asarray(images[start:start + ROWS])
        count, channels, height, width = chunk.shape
        pixels = chunk.reshape(count, -1)
        # Integer sums are exact, so that no summation order can change a manifest.
        total, squares = pixels.sum(1, dtype=np.int64), np.square(pixels, dtype=np.int64).sum(1)
        size = pixels.shape[1]
        yield pd.DataFrame({
            "sha256": [hashlib.sha256(f"{row.shape}".encode() + row.tobytes()).hexdigest() for row in chunk],
            "mean": total / size,
            "std": np.sqrt(size * squares - total**2) / size,
            "minimum": pixels.min(1).astype(np.int64),
            "maximum": pixels.max(1).astype(np.int64),
            "ink_fraction": (pixels >= INK).mean(1),
            "height": height,
            "width": width,
            "mode": MODES.get(channels, f"{channels} channels"),
        })


def describe(pictures: Pictures) -> pd.DataFrame:
    """Every column of the manifest but `split`."""
    index = np.arange(len(pictures))
    return pd.DataFrame({"index": index, "source_index": index, "label": pictures.labels}).join(measure(pictures.images))


def disagreements(manifest: pd.DataFrame, pictures: Pictures) -> np.ndarray:
    """Whether each row of the manifest no longer says what the arrays say: bool (N,)."""
    again = describe(pictures)
    differing = [manifest[column].to_numpy() != again[column].to_numpy() for column in ("label", *MEASURED)]
    return np.logical_or.reduce(differing)
