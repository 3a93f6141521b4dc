"""The manifest: one row a picture, with what can be measured of it. Judged by data/expectations.py."""

import hashlib
from typing import Any

import numpy as np
import pandas as pd

from aigc.core import files
from aigc.data import similarity
from aigc.data.pictures import Pictures

INK = 128  # a pixel at least this bright (of 255) counts as ink
MEASURED = ["sha256", "mean", "std", "minimum", "maximum", "ink_fraction", "height", "width", "mode", "phash"]


def mode_of(channels: int) -> str:
    """What Pillow calls a picture of so many channels."""
    return {1: "L", 3: "RGB"}.get(channels, f"{channels} channels")


def measure(images: np.ndarray) -> dict[str, Any]:
    """The measured columns of uint8 (n, C, H, W), a list or an array each. Give it a block at a time."""
    count, channels, height, width = images.shape
    pixels = images.reshape(count, -1)
    # Integer sums are exact, so that no summation order can change a manifest.
    total, squares = pixels.sum(1, dtype=np.int64), np.square(pixels, dtype=np.int64).sum(1)
    size = pixels.shape[1]
    return {"sha256": [hashlib.sha256(f"{row.shape}".encode() + row.tobytes()).hexdigest() for row in images],
            "mean": total / size, "std": np.sqrt(size * squares - total**2) / size,
            "minimum": pixels.min(1).astype(np.int64), "maximum": pixels.max(1).astype(np.int64),
            "ink_fraction": (pixels >= INK).mean(1), "height": np.full(count, height),
            "width": np.full(count, width), "mode": [mode_of(channels)] * count,
            "phash": similarity.phash(images)}


def class_names(labels: np.ndarray, classes: list[str]) -> list[str]:
    """The class of each label; "" for -1."""
    return [classes[label] if label >= 0 else "" for label in labels.tolist()]


def disagreements(manifest: pd.DataFrame, pictures: Pictures, first: int = 0) -> np.ndarray:
    """Whether each row of the manifest disagrees with the arrays: bool (n,). Reads a block at a time.

    first: the picture of the manifest's first row, where it is a part of one.
    """
    wrong = manifest["label"].to_numpy() != pictures.labels[first:first + len(manifest)]
    rows = files.rows_at_once(pictures.images[:1].nbytes)
    for start in range(0, len(manifest), rows):
        stated = manifest.iloc[start:start + rows]
        measured = measure(np.asarray(pictures.images[first + start:first + start + len(stated)]))
        for column in MEASURED:
            wrong[start:start + rows] |= stated[column].to_numpy() != np.asarray(measured[column])
    return wrong
