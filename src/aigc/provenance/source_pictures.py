"""The pictures that a method translates, reconstructs or interpolates: files, brought to the model's size as
the pipeline's pictures are.

What is made of them names the sha256 of each file, and how it was fitted: whoever has the files can make it
again.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from aigc.core import config
from aigc.core.errors import DataError
from aigc.data.config import PreprocessConfig
from aigc.data.sources.decoding import Unusable, decode, read_whole, shown
from aigc.model.contract import Shape

REMEDY = "name the files of pictures"


def read(path: Path) -> tuple[str, bytes]:
    """(sha256, bytes) of a file. Raises DataError, naming it, when it cannot be read."""
    if path.is_dir():
        raise DataError(f"{shown(str(path))}: a folder; {REMEDY} in it")
    try:
        content = read_whole(str(path))
    except Unusable as reason:
        raise DataError(f"{shown(str(path))}: {reason}; {REMEDY}") from None
    return hashlib.sha256(content).hexdigest(), content


def fitted(content: bytes, fit: str, shape: Shape, name: str) -> np.ndarray:
    """A picture's file at the model's size: uint8 (C, H, W). fit: from `fit_of`.

    Raises DataError, with `name`, when the bytes are no picture.
    """
    how, *background = fit.split()
    settings = PreprocessConfig.model_validate({"size": shape.size, "channels": shape.channels, "fit": how,
                                                "background": [int(shade) for shade in background]})
    try:
        return decode(content, settings).image
    except Unusable as reason:
        raise DataError(f"{name}: {reason}; {REMEDY}") from None


def read_all(paths: Sequence[Path], fit: str, shape: Shape) -> tuple[list[str], np.ndarray]:
    """The sha256 of each file, and the pictures at the model's size, uint8 (N, C, H, W). N: 1 or more."""
    hashes, images = [], []
    for path in paths:
        sha256, content = read(path)
        hashes.append(sha256)
        images.append(fitted(content, fit, shape, str(path)))
    return hashes, np.stack(images)


def fit_of(settings: PreprocessConfig | None = None) -> str:
    """How the pictures of params.yaml, or of these settings, are fitted: "crop 255 255 255"."""
    settings = settings or config.section("preprocess", PreprocessConfig)
    return " ".join(map(str, (settings.fit, *settings.background)))
