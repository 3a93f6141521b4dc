"""The table of metrics: how each is computed, how its interval is made, and where it is shown.

To add a metric, write its function in a file of this folder and add a row to METRICS.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from aigc.metrics import frechet, intervals, kernel, neighbours
from aigc.metrics.inception_score import inception_score
from aigc.metrics.intervals import Number
from aigc.metrics.real import MetricSettings, RealStatistics

SHARE = (0.0, 1.0)
BLOCKS_OR_JACKKNIFE = ("Student's over disjoint blocks of n samples; the jackknife over groups of samples "
                       "where there are fewer than four blocks")
BLOCKS = "Student's over disjoint blocks of n samples; none where there is one block only"
ARROWS = {"lower": "↓", "higher": "↑"}


@dataclass(frozen=True)
class Metric:
    """One row of the table.

    name: the key in JSON and MLflow. title: the name on pages. better: the direction of better values.
    measure: (real statistics, features float64 (N, d), logits float32 (N, classes), settings) -> value and
    interval.
    interval: how the interval is made, in words for the protocol.
    tolerance: the largest accepted relative change if another processor computes other bytes; None if the
    value may be 0.
    meaning: what a value says, in words for the report; {n} and the like are entries of the protocol.
    pages: the pages with a column for it. needs_classes: whether it needs an extractor that predicts classes.
    extractor: the extractor that this metric always uses; "" = the one of the run.
    """

    name: str
    title: str
    better: Literal["lower", "higher"]
    measure: Callable[[RealStatistics, np.ndarray, np.ndarray, MetricSettings], Number]
    interval: str
    tolerance: float | None
    meaning: str
    pages: tuple[str, ...] = ("report",)
    needs_classes: bool = False
    extractor: str = ""

    @property
    def heading(self) -> str:
        """The title, with an arrow in the direction of better values."""
        return f"{self.title} {ARROWS[self.better]}"


def _fid(real: RealStatistics, features: np.ndarray, _: np.ndarray, settings: MetricSettings) -> Number:
    return intervals.over_blocks(lambda block: frechet.distance(real.gaussian, frechet.fit(block)), features,
                                 settings.n, smooth=True, within=(0, math.inf))


def _fid_infinity(real: RealStatistics, features: np.ndarray, _: np.ndarray,
                  settings: MetricSettings) -> Number:
    return intervals.over_blocks(lambda block: frechet.fid_infinity(real.gaussian, block,
                                                                    settings.fid_infinity_seed),
                                 features, settings.n)


def _kid(real: RealStatistics, features: np.ndarray, _: np.ndarray, __: MetricSettings) -> Number:
    kid = kernel.kid(real.features, features)
    return intervals.from_standard_error(kid.value, kid.standard_error)


def _inception_score(_: RealStatistics, __: np.ndarray, logits: np.ndarray,
                     settings: MetricSettings) -> Number:
    return intervals.over_blocks(inception_score, logits, settings.n, smooth=True)


def _precision(real: RealStatistics, features: np.ndarray, _: np.ndarray, __: MetricSettings) -> Number:
    return intervals.of_share(neighbours.count_inside(real.precision_balls, features)[0] > 0)


def _recall(real: RealStatistics, features: np.ndarray, _: np.ndarray, settings: MetricSettings) -> Number:
    return intervals.over_blocks(
        lambda block: neighbours.recall(real.features,
                                        neighbours.knn_balls(block, settings.precision_neighbours)),
        features, settings.n, within=SHARE)


def _density(real: RealStatistics, features: np.ndarray, _: np.ndarray, __: MetricSettings) -> Number:
    return intervals.of_mean(neighbours.count_inside(real.coverage_balls, features)[0]
                             / real.coverage_balls.k)


def _coverage(real: RealStatistics, features: np.ndarray, _: np.ndarray, settings: MetricSettings) -> Number:
    return intervals.over_blocks(lambda block: neighbours.coverage(real.coverage_balls, block), features,
                                 settings.n, within=SHARE)


ALL = ("report", "runs", "mlflow")
METRICS = (
    Metric("fid", "FID", "lower", _fid, BLOCKS_OR_JACKKNIFE, 0.25,
           "Squared Fréchet distance between two Gaussians, fitted to the features of n = {n} samples and of "
           "n real test pictures (Heusel et al. 2017). It falls with n, so all values here use the same n.",
           ALL),
    Metric("fid_infinity", "FID∞", "lower", _fid_infinity, BLOCKS, None,
           "FID extrapolated to an infinite number of samples: the intercept of FID over 1/n, from subsets "
           "of n = {n} samples (Chong & Forsyth 2020). It may be below 0."),
    Metric("kid", "KID", "lower", _kid, "the jackknife over all samples", None,
           "Squared kernel distance between features, unbiased (Bińkowski et al. 2018). It may be below 0. "
           "Its expectation does not depend on the number of samples. The floor is below 0 if all "
           "splits have equally many pictures of each class, which random draws would not have.",
           ("report", "runs")),
    Metric("precision", "precision", "higher", _precision, "Wilson's over all samples", 0.1,
           "Share of samples inside a ball around a real picture. The radius is the distance of that picture "
           "to its k-th nearest real one, k = {precision_neighbours} (Kynkäänniemi et al. 2019). High: "
           "samples look like real pictures. Large balls may contain noise too: compare with the ceiling.",
           ALL),
    Metric("recall", "recall", "higher", _recall, BLOCKS, 0.2,
           "Share of real pictures inside such a ball around a sample, with the same k (Kynkäänniemi et al. "
           "2019). High: the samples are as varied as real pictures.", ALL),
    Metric("density", "density", "higher", _density, "Student's over all samples", 0.15,
           "Mean number of balls of real pictures that a sample is in, divided by k = {coverage_neighbours} "
           "(Naeem et al. 2020). About 1 for real pictures; it may exceed 1."),
    Metric("coverage", "coverage", "higher", _coverage, BLOCKS, 0.1,
           "Share of real pictures whose ball, k = {coverage_neighbours}, has a sample inside (Naeem et al. "
           "2020). Large balls may contain noise too: compare with the ceiling.", ("report", "runs")),
    Metric("is", "IS", "higher", _inception_score, BLOCKS_OR_JACKKNIFE, 0.05,
           "Inception Score: exp of the mean KL divergence between the predicted classes of one sample and "
           "of all samples (Salimans et al. 2016). High: each sample shows one class, and all classes occur. "
           "It does not use real pictures.", ("report", "mlflow"), needs_classes=True),
)


def on_page(page: str) -> list[Metric]:
    """The metrics with a column on the page `report`, `runs` or `mlflow`."""
    return [metric for metric in METRICS if page in metric.pages]


def interval_texts() -> dict[str, str]:
    """How the intervals are made: {"fid, is": text, ...}."""
    texts: dict[str, list[str]] = {}
    for metric in METRICS:
        texts.setdefault(metric.interval, []).append(metric.name)
    return {", ".join(names): text for text, names in texts.items()}
