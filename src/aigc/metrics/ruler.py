"""The ruler: the metrics of real pictures that are damaged by known amounts.

It gives a value a scale: as far from real pictures as a blur of so many pixels. It also tests the extractor:
one that cannot order the blurs cannot judge samples.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from aigc.metrics.intervals import Number

Marks = Mapping[str, Mapping[str, Number]]  # damage -> metric -> value, low, high

UNDAMAGED = "undamaged"
BLURS = {UNDAMAGED: 0.0, "blur_0.5": 0.5, "blur_1": 1.0, "blur_2": 2.0}  # damage -> sigma in pixels
NOISES = {"noise_5": 5.0, "noise_10": 10.0, "noise_25": 25.0}  # damage -> standard deviation in grey levels
SHUFFLED, CLASS_MEANS, CLASSES_DROPPED = "patches_shuffled", "class_means", "classes_dropped"
DROPPED_CLASSES = 2

TITLES = {UNDAMAGED: "real pictures",
          **{name: f"blur of sigma {sigma:g}" for name, sigma in BLURS.items() if sigma},
          **{name: f"noise of {deviation:g} grey levels" for name, deviation in NOISES.items()},
          SHUFFLED: "patches shuffled", CLASS_MEANS: "class means", CLASSES_DROPPED: "two classes dropped"}


@dataclass(frozen=True)
class Blur:
    """A blur that is as far from real pictures as a value. beyond: the value is beyond the strongest blur."""

    sigma: float
    beyond: bool

    def __str__(self) -> str:
        if self.sigma == 0:
            return "real pictures"
        return f"{'beyond ' if self.beyond else ''}blur of sigma {self.sigma:.2g}"


def as_far_as(fid: float, marks: Marks) -> Blur:
    """The blur whose FID is `fid`. Between the marks it is linear in the root of FID."""
    distances = np.sqrt(np.maximum.accumulate([max(0.0, marks[name]["fid"]["value"]) for name in BLURS]))
    distance = np.sqrt(max(0.0, fid))
    sigma = float(np.interp(distance, distances, list(BLURS.values())))
    return Blur(sigma, bool(distance > distances[-1]))


def disorder(marks: Marks) -> str:
    """The first pair of blurs that the marks do not order, as text; "" if all are in order.

    All marks are of the same pictures, so FID must rise with each step. Precision is a share of few pictures,
    and a slight blur moves photos inwards, to where others are: a step may raise it as long as the intervals
    overlap, but the strongest blur must be below the interval of undamaged pictures.
    """
    names = list(BLURS)
    for milder, stronger in pairwise(names):
        if marks[stronger]["fid"]["value"] <= marks[milder]["fid"]["value"]:
            return _pair("FID", "fid", milder, stronger, marks)
        if marks[stronger]["precision"]["low"] > marks[milder]["precision"]["high"]:
            return _pair("precision", "precision", milder, stronger, marks)
    if marks[names[-1]]["precision"]["value"] >= marks[UNDAMAGED]["precision"]["low"]:
        return _pair("precision", "precision", UNDAMAGED, names[-1], marks)
    return ""


def _pair(title: str, metric: str, milder: str, stronger: str, marks: Marks) -> str:
    before, after = (marks[name][metric]["value"] for name in (milder, stronger))
    return f"{title} is {before:g} for {TITLES[milder]} and {after:g} for {TITLES[stronger]}"
