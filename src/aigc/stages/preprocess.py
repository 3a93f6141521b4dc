"""preprocess: each split at the size and number of channels of the models, as memory-mapped arrays."""

import sys

import numpy as np
import pandas as pd
from tqdm import tqdm

from aigc.core import config, paths, process
from aigc.core.errors import DataError
from aigc.data import parts, pictures, resizing, splits
from aigc.data.config import PreprocessConfig


def run() -> None:
    settings = config.section("preprocess", PreprocessConfig)
    raw = pictures.open_folder(paths.RAW)
    source = parts.open_parts(paths.RAW, len(raw))
    split = pd.read_parquet(paths.RAW / "manifest.parquet", columns=["split"])["split"].to_numpy()
    for name in splits.NAMES:
        rows = np.flatnonzero(split == name)
        if not len(rows):
            raise DataError(f"{paths.RAW}: the split `{name}` is empty; raise its share under `data.split`")
        folder = paths.PROCESSED / name
        with (parts.writing(folder, len(rows), (settings.channels, settings.size, settings.size)) as append,
              tqdm(total=len(rows), desc=f"preprocess {name}", unit="picture", disable=None,
                   file=sys.stderr) as bar):
            for block in resizing.resized(source, rows, settings, process.cores()):
                append(block)
                bar.update(len(block))
        pictures.write_labels(folder, raw.labels[rows], raw.classes)
    pictures.write_origin(paths.PROCESSED / "train", pictures.read_origin(paths.RAW))
