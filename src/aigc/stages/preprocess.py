"""preprocess: each split at the model's size and number of channels, as arrays to be memory-mapped."""

import numpy as np
import pandas as pd
from PIL import Image

from aigc.core import config, files, paths
from aigc.core.errors import DataError
from aigc.data import pictures, splits


def run() -> None:
    chosen = config.section("preprocess", config.Preprocess)
    found = pictures.open_folder(paths.RAW)
    split = pd.read_parquet(paths.RAW / "manifest.parquet", columns=["split"])["split"].to_numpy()
    for name in splits.NAMES:
        rows = np.flatnonzero(split == name)
        if not len(rows):
            raise DataError(f"{paths.RAW}: no picture is in the split `{name}`; raise its share under `data.split`")
        folder = paths.PROCESSED / name
        shape = (len(rows), chosen.channels, chosen.size, chosen.size)
        with files.npy_rows(folder / "images.npy", shape, np.uint8) as append:
            for row in rows:
                append(fit(found.images[row], chosen)[None])
        pictures.write_labels(folder, found.labels[rows], found.classes)


def fit(image: np.ndarray, chosen: config.Preprocess) -> np.ndarray:
    """uint8 (C, H, W) -> uint8 (channels, size, size). Colour to grey by ITU-R 601; size by Pillow's antialiased bicubic."""
    if image.shape == (chosen.channels, chosen.size, chosen.size):
        return image
    picture = Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0))
    picture = picture.convert("L" if chosen.channels == 1 else "RGB")
    resized = np.asarray(picture.resize((chosen.size, chosen.size), Image.Resampling.BICUBIC))
    return resized[None] if chosen.channels == 1 else resized.transpose(2, 0, 1)
