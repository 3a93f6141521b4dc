"""How near samples come to real pictures, and how much of them they cover: every metric of one set of features, with intervals.

One function for the floor, the ceiling, each method and `aigc evaluate`, so that all are made alike.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from aigc.core import config, files
from aigc.core.errors import DataError
from aigc.features.extractor import Eye, Seen
from aigc.metrics import frechet, intervals, kernel, neighbours
from aigc.metrics.frechet import Gaussian
from aigc.metrics.inception_score import inception_score
from aigc.metrics.intervals import Number
from aigc.metrics.neighbours import Balls
from aigc.training.randomness import stream_seed

METRICS = ("fid", "fid_infinity", "kid", "is", "precision", "recall", "density", "coverage")
SHARE = (0.0, 1.0)
INTERVALS = {
    "fid, is": "Student's over disjoint blocks of n samples; the jackknife over groups of samples where there are fewer than four blocks",
    "fid_infinity, recall, coverage": "Student's over disjoint blocks of n samples; none where there is one block only",
    "kid": "the jackknife over all samples", "precision": "Wilson's over all samples", "density": "Student's over all samples",
}


@dataclass(frozen=True)
class Real:
    """The real side, computed once. features: float64 (n, d). close: for precision. wide: for density and coverage."""

    features: np.ndarray
    gaussian: Gaussian
    close: Balls
    wide: Balls

    def write(self, folder: Path) -> None:
        """Into `folder`, as one .npy each."""
        for name, array in {"features": self.features, "mean": self.gaussian.mean, "root": self.gaussian.root,
                            "close_radii": self.close.squared_radii, "wide_radii": self.wide.squared_radii}.items():
            files.write_npy(folder / f"real_{name}.npy", array)


def of(features: np.ndarray, chosen: config.Evaluate) -> Real:
    """The real side of features (n, d)."""
    features = features.astype(np.float64)
    close, wide = (neighbours.balls(features, k) for k in (chosen.precision_neighbours, chosen.coverage_neighbours))
    return Real(features, frechet.fit(features), close, wide)


def read(folder: Path, chosen: config.Evaluate) -> Real:
    """What `Real.write` wrote."""
    features, mean, root, close, wide = (np.array(files.map_npy(folder / f"real_{name}.npy"))
                                         for name in ("features", "mean", "root", "close_radii", "wide_radii"))
    return Real(features, Gaussian(mean, root), Balls(features, close, chosen.precision_neighbours),
                Balls(features, wide, chosen.coverage_neighbours))


def measure(real: Real, seen: Seen, chosen: config.Evaluate) -> dict[str, Number]:
    """Every metric of METRICS at n = chosen.sample_size: value, and low and high where there is an interval.

    IS only where the eye knows classes.
    """
    features, size = seen.features.astype(np.float64), chosen.sample_size
    work: dict[str, Callable[[], Number]] = {
        "fid": lambda: intervals.over_blocks(
            lambda block: frechet.distance(real.gaussian, frechet.fit(block)), features, size, smooth=True, within=(0, math.inf)),
        "fid_infinity": lambda: intervals.over_blocks(
            lambda block: frechet.fid_infinity(real.gaussian, block, stream_seed(chosen.seed, "fid_infinity")), features, size),
        "kid": lambda: _kid(real, features),
        "is": lambda: intervals.over_blocks(inception_score, seen.logits, size, smooth=True),
        "precision": lambda: intervals.of_share(neighbours.held(real.close, features)[0] > 0),
        "recall": lambda: intervals.over_blocks(
            lambda block: neighbours.recall(real.features, neighbours.balls(block, chosen.precision_neighbours)), features, size, within=SHARE),
        "density": lambda: intervals.of_mean(neighbours.held(real.wide, features)[0] / real.wide.k),
        "coverage": lambda: intervals.over_blocks(lambda block: neighbours.coverage(real.wide, block), features, size, within=SHARE),
    }
    asked = [name for name in METRICS if name != "is" or seen.logits.shape[1]]
    return {name: work[name]() for name in tqdm(asked, disable=None, unit="metric", desc="metrics", leave=False)}


def _kid(real: Real, features: np.ndarray) -> Number:
    found = kernel.kid(real.features, features)
    return intervals.of_error(found.value, found.standard_error)


def look(eye: Eye, images: Any, whose: str, at_least: int) -> Seen:
    """What `eye` sees. Raises DataError when the pictures are too few, or all alike to it, or it answers with NaN."""
    if len(images) < at_least:
        raise DataError(f"{whose}: {len(images)} pictures, at least {at_least} are needed")
    seen = eye.see(images)
    if not (np.isfinite(seen.features).all() and np.isfinite(seen.logits).all()):
        row = int(np.flatnonzero(~(np.isfinite(seen.features).all(1) & np.isfinite(seen.logits).all(1)))[0])
        raise DataError(f"{whose}: picture {row} has features that are not finite; check the extractor's weights")
    if (seen.features == seen.features[0]).all():
        raise DataError(f"{whose}: all {len(images)} pictures have the same features, so there is no distribution to compare; "
                        "look at them")
    return seen


@dataclass(frozen=True)
class Noise:
    """Pictures of uniform noise for the ceiling, each made when it is asked for: a stack of shape (N, C, H, W)."""

    shape: tuple[int, ...]
    seed: int

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice, /) -> np.ndarray:
        return np.stack([np.random.default_rng(stream_seed(self.seed, "ceiling", row)).integers(0, 256, self.shape[1:], np.uint8)
                         for row in range(*rows.indices(len(self)))])
