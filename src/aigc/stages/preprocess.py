"""preprocess: each split at the model's size and number of channels, as arrays to be memory-mapped."""

import sys

import numpy as np
import pandas as pd
from tqdm import tqdm

from aigc.core import config, files, paths
from aigc.core.errors import DataError
from aigc.data import geometry, pictures, splits
from aigc.data.config import PreprocessConfig


def run() -> None:
    chosen = config.section("preprocess", PreprocessConfig)
    found = pictures.open_folder(paths.RAW)
    split = pd.read_parquet(paths.RAW / "manifest.parquet", columns=["split"])["split"].to_numpy()
    for name in splits.NAMES:
        rows = np.flatnonzero(split == name)
        if not len(rows):
            raise DataError(f"{paths.RAW}: no picture is in the split `{name}`; raise its share under `data.split`")
        folder = paths.PROCESSED / name
        shape = (len(rows), chosen.channels, chosen.size, chosen.size)
        with files.npy_rows(folder / "images.npy", shape, np.uint8) as append:
            for row in tqdm(rows, desc=f"preprocess {name}", unit="picture", disable=None, file=sys.stderr):
                append(geometry.fit_array(found.images[row], chosen)[None])
        pictures.write_labels(folder, found.labels[rows], found.classes)
    pictures.write_origin(paths.PROCESSED / "train", pictures.read_origin(paths.RAW))
