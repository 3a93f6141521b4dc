"""The one table of metrics: how each is computed, what its interval is, and how and where it is shown.

To add a metric, write its function in a file of this folder and add a row here.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from aigc.metrics import frechet, intervals, kernel, neighbours
from aigc.metrics.inception_score import inception_score
from aigc.metrics.intervals import Number
from aigc.metrics.real import MetricSettings, RealSide

SHARE = (0.0, 1.0)
BLOCKS_OR_JACKKNIFE = ("Student's over disjoint blocks of n samples; the jackknife over groups of samples where there are "
                       "fewer than four blocks")
BLOCKS = "Student's over disjoint blocks of n samples; none where there is one block only"
ARROWS = {"lower": "↓", "higher": "↑"}


@dataclass(frozen=True)
class Metric:
    """One row. measure: (real side, features float64 (N, d), logits float32 (N, classes), settings) -> value and interval.

    interval: how it is made, as the protocol tells it. tolerance: how far the value may move, relatively, where another
    processor computed other bytes; None where it may be zero. pages: where it has a column. needs_classes: only where
    the extractor knows classes. extractor: the one that this metric always uses; "" = the run's.
    """

    name: str
    title: str
    better: Literal["lower", "higher"]
    measure: Callable[[RealSide, np.ndarray, np.ndarray, MetricSettings], Number]
    interval: str
    tolerance: float | None
    pages: tuple[str, ...] = ("report",)
    needs_classes: bool = False
    extractor: str = ""

    @property
    def heading(self) -> str:
        """The title with an arrow to the better side."""
        return f"{self.title} {ARROWS[self.better]}"


def _fid(real: RealSide, features: np.ndarray, _: np.ndarray, settings: MetricSettings) -> Number:
    return intervals.over_blocks(lambda block: frechet.distance(real.gaussian, frechet.fit(block)), features, settings.n,
                                 smooth=True, within=(0, math.inf))


def _fid_infinity(real: RealSide, features: np.ndarray, _: np.ndarray, settings: MetricSettings) -> Number:
    return intervals.over_blocks(lambda block: frechet.fid_infinity(real.gaussian, block, settings.fid_infinity_seed),
                                 features, settings.n)


def _kid(real: RealSide, features: np.ndarray, _: np.ndarray, __: MetricSettings) -> Number:
    found = kernel.kid(real.features, features)
    return intervals.of_error(found.value, found.standard_error)


def _inception_score(_: RealSide, __: np.ndarray, logits: np.ndarray, settings: MetricSettings) -> Number:
    return intervals.over_blocks(inception_score, logits, settings.n, smooth=True)


def _precision(real: RealSide, features: np.ndarray, _: np.ndarray, __: MetricSettings) -> Number:
    return intervals.of_share(neighbours.held(real.close, features)[0] > 0)


def _recall(real: RealSide, features: np.ndarray, _: np.ndarray, settings: MetricSettings) -> Number:
    return intervals.over_blocks(
        lambda block: neighbours.recall(real.features, neighbours.balls(block, settings.precision_neighbours)),
        features, settings.n, within=SHARE)


def _density(real: RealSide, features: np.ndarray, _: np.ndarray, __: MetricSettings) -> Number:
    return intervals.of_mean(neighbours.held(real.wide, features)[0] / real.wide.k)


def _coverage(real: RealSide, features: np.ndarray, _: np.ndarray, settings: MetricSettings) -> Number:
    return intervals.over_blocks(lambda block: neighbours.coverage(real.wide, block), features, settings.n, within=SHARE)


ALL = ("report", "runs", "mlflow")
METRICS = (
    Metric("fid", "FID", "lower", _fid, BLOCKS_OR_JACKKNIFE, 0.25, ALL),
    Metric("fid_infinity", "FID∞", "lower", _fid_infinity, BLOCKS, None),
    Metric("kid", "KID", "lower", _kid, "the jackknife over all samples", None, ("report", "runs")),
    Metric("precision", "precision", "higher", _precision, "Wilson's over all samples", 0.1, ALL),
    Metric("recall", "recall", "higher", _recall, BLOCKS, 0.2, ALL),
    Metric("density", "density", "higher", _density, "Student's over all samples", 0.15),
    Metric("coverage", "coverage", "higher", _coverage, BLOCKS, 0.1, ("report", "runs")),
    Metric("is", "IS", "higher", _inception_score, BLOCKS_OR_JACKKNIFE, 0.05, ("report", "mlflow"), needs_classes=True),
)


def on_page(page: str) -> list[Metric]:
    """The metrics that have a column on the page `report`, `runs` or `mlflow`."""
    return [metric for metric in METRICS if page in metric.pages]


def interval_texts() -> dict[str, str]:
    """{"fid, is": how their intervals are made, ...}."""
    texts: dict[str, list[str]] = {}
    for metric in METRICS:
        texts.setdefault(metric.interval, []).append(metric.name)
    return {", ".join(names): text for text, names in texts.items()}
