"""The published protocol: FID of all samples against the whole train split (Heusel et al. 2017).

For CIFAR-10 the published numbers are of 50,000 samples against its 50,000 training pictures. This number
stands beside those of the pipeline's own protocol, which compares with pictures that nothing trained on: a
copy of the training pictures has the best value here. Its n is its own.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np

from aigc.core import files
from aigc.evaluation.config import EvaluateConfig
from aigc.metrics import frechet, intervals
from aigc.metrics.frechet import Gaussian
from aigc.metrics.intervals import Number

SECTION = "published"  # of reports/metrics/*.json; the value of evaluate.protocol
FILES = {"mean": "train_mean.npy", "root": "train_root.npy"}


def entry(config: EvaluateConfig, samples: int, train: int, holdout: int) -> dict[str, str]:
    """The protocol in words, as an entry of the whole one; empty if it was not asked for.

    The arguments are numbers of pictures.
    """
    if config.protocol != SECTION:
        return {}
    return {SECTION: f"FID of all {samples} samples against all {train} pictures of the train split; its "
                     f"floor: {holdout} holdout pictures against the same"}


def measure_real(train: np.ndarray, holdout: np.ndarray, folder: Path) -> dict[str, Number]:
    """The floor, of features (N, d) each. Writes the train split's Gaussian to `folder`."""
    real = frechet.fit(train.astype(np.float64))
    for part, name in FILES.items():
        files.write_npy(folder / name, getattr(real, part))
    return {"fid": _fid(real, holdout)}


def measure(features: np.ndarray, floor: dict[str, Number], folder: Path) -> dict[str, Any]:
    """The section of one method. features: (N, d) of all of its samples. floor: of `measure_real`."""
    real = Gaussian(**{part: np.array(files.map_npy(folder / name)) for part, name in FILES.items()})
    return {"fid": {**_fid(real, features), "floor": floor["fid"]["value"]}}


def _fid(real: Gaussian, features: np.ndarray) -> Number:
    """With the jackknife's interval over groups of samples."""
    return intervals.over_blocks(lambda block: frechet.distance(real, frechet.fit(block)),
                                 features.astype(np.float64), len(features), smooth=True,
                                 within=(0, math.inf))
