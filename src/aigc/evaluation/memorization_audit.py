"""The memorization audit of samples: what all methods share is prepared once, and checked with controls.

Not for the statistics themselves, which are in metrics/memorization.py.

There are two views of a picture. `pixels`: the smallest distance over augmentations (mirror, shift). It
decides whether a method passes, because it detects every control. `features`: distances in the extractor's
features, as in the papers. They are reported only, because a mirrored or shifted copy has other features.
"""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from aigc.core import files
from aigc.core.errors import DataError, GateError
from aigc.core.randomness import Purpose, stream_seed
from aigc.evaluation.config import AuditConfig
from aigc.metrics import controls, memorization
from aigc.metrics.intervals import all_rounded, of_share, rounded
from aigc.metrics.memorization import Nearest, Survey, Training, TrainingPoints

FILE = "memorization.safetensors"
VIEWS = ("pixels", "features")
COPIES = 300  # of each control
SHOWN = 12  # samples that the report shows with their training pictures
HOLDOUT_FAILS = ("the holdout has near-copies of training pictures; remove them, "
                 "or raise audit.max_near_duplicates")
COPIES_PASS = ("real test pictures are as near to training pictures, as duplicates and mirrored duplicates "
               "are; remove them, or raise audit.near_duplicate")
MIN_PICTURES = memorization.CELLS * memorization.MIN_CELL


@dataclass(frozen=True)
class View:
    """What samples are compared with in one view.

    centres: of the cells of C_T, float64 (cells, d). test: the nearest training pictures of real test
    pictures, and
    test_cells: the cells of these. threshold: the relative distance below which a sample counts as a
    near-duplicate.
    """

    training: Training
    centres: np.ndarray
    test: Nearest
    test_cells: np.ndarray
    threshold: float


@dataclass(frozen=True)
class Audit:
    """Both views, and `limit`: the largest share of near-duplicates in [0, 1] with which a method passes."""

    views: dict[str, View]
    limit: float

    @property
    def survey(self) -> dict[str, int]:
        """How many training pictures there are, and how many of them the sample has; {} without a survey."""
        known = self.views["pixels"].training
        return {"pictures": len(known), "sample": len(known.rows)} if isinstance(known, Survey) else {}

    def find_nearest(self, images: np.ndarray, features: np.ndarray) -> dict[str, Nearest]:
        """The nearest training picture of each sample, in each view. images: uint8 (n, C, H, W); features:
        (n, d).
        """
        seen = self.views["features"].training
        assert isinstance(seen, TrainingPoints)
        return {"pixels": memorization.find_nearest_augmented(images, self.views["pixels"].training),
                "features": memorization.find_nearest(features, seen)}

    def measure(self, images: np.ndarray, features: np.ndarray) -> tuple[dict[str, Any], dict[str, Nearest]]:
        """The numbers of samples in both views, with `passes`: whether the share of near-duplicates is within
        the limit.

        Returns what `find_nearest` found too.
        """
        nearest = self.find_nearest(images, features)
        points = {"pixels": memorization.as_points(images), "features": features}
        numbers: dict[str, Any] = {name: _measure(self.views[name], points[name], found)
                                   for name, found in nearest.items()}
        if self.survey:
            numbers["survey"] = self.survey
        numbers["passes"] = numbers["pixels"]["near_duplicates"]["value"] <= self.limit
        return numbers, nearest


def sampled(count: int, config: AuditConfig) -> np.ndarray | None:
    """The rows of `count` training pictures that stand for all where all are too many; None = no survey."""
    if count <= config.survey:
        return None
    rng = np.random.default_rng(stream_seed(0, Purpose.SURVEY))
    return np.sort(rng.permutation(count)[:config.survey])


def prepare_audit(train: np.ndarray, train_features: np.ndarray, test: np.ndarray, test_features: np.ndarray,
                  config: AuditConfig) -> Audit:
    """The audit of any samples against these training pictures. train, test: uint8 (n, C, H, W); features:
    (n, d), those of training pictures of the rows that `sampled` gives, or of all.
    """
    rows = sampled(len(train), config)
    if len(test) < MIN_PICTURES or len(train) < MIN_PICTURES:
        raise DataError(f"the memorization audit needs at least {MIN_PICTURES} training and {MIN_PICTURES} "
                        f"test pictures (found {len(train)} and {len(test)}); raise evaluate.sample_size "
                        "or add pictures")
    views = {}
    pixels = (TrainingPoints.of(memorization.as_points(train)) if rows is None else Survey.of(train, rows))
    features = TrainingPoints.of(train_features)
    found: dict[str, tuple[Training, np.ndarray, Nearest]] = {
        "pixels": (pixels, memorization.as_points(test), memorization.find_nearest_augmented(test, pixels)),
        "features": (features, test_features, memorization.find_nearest(test_features, features))}
    for name, (training, test_points, nearest) in found.items():
        centres = memorization.cells(training, np.random.default_rng(stream_seed(0, Purpose.CELLS, of=name)))
        threshold = float(np.quantile(nearest.relative_distance(training), config.near_duplicate))
        views[name] = View(training, centres, nearest, memorization.cell_of(test_points, centres), threshold)
    return Audit(views, config.max_near_duplicates)


def copycats(train: np.ndarray) -> dict[str, np.ndarray]:
    """The copies of training pictures that are the controls, by alteration: uint8 (at most COPIES, C, H, W).
    """
    return {alteration: controls.copycat(train, COPIES, alteration,
                                         np.random.default_rng(stream_seed(0, Purpose.COPYCAT,
                                                                           of=alteration)))
            for alteration in controls.COPYCATS}


def measure_controls(audit: Audit, copies: dict[str, tuple[np.ndarray, np.ndarray]],
                     holdout: tuple[np.ndarray, np.ndarray]) -> dict[str, Any]:
    """The numbers of the controls, each given as (images, features): the copycats and the real holdout."""
    numbers = {f"copycat by {alteration}": audit.measure(*pictures)[0]
               for alteration, pictures in copies.items()}
    return {**numbers, "holdout": audit.measure(*holdout)[0]}


def check_controls(measured: dict[str, Any], limit: float) -> None:
    """Raises GateError unless every copycat fails the audit and the real holdout passes it."""
    for name, numbers in measured.items():
        is_real = name == "holdout"
        if numbers["passes"] == is_real:
            continue
        problem = "the real holdout fails" if is_real else f"the control `{name}` is not detected by"
        share = numbers["pixels"]["near_duplicates"]["value"]
        raise GateError(f"{problem} the memorization audit: {share:.1%} near-duplicates, "
                        f"audit.max_near_duplicates is {limit:.1%}; the audit is not reliable on this data: "
                        f"{HOLDOUT_FAILS if is_real else COPIES_PASS}")


def nearest_pairs(audit: Audit, nearest: dict[str, Nearest]) -> list[dict[str, float]]:
    """The SHOWN samples that are nearest to training pictures in pixels, nearest first, as rows of a table.
    """
    found, view = nearest["pixels"], audit.views["pixels"]
    relative = found.relative_distance(view.training)
    return [{"sample": int(sample), "train": int(found.index[sample]),
             "relative_distance": rounded(float(relative[sample])),
             "distance": rounded(float(found.distance[sample])),
             "flagged": int(relative[sample] < view.threshold)}
            for sample in np.argsort(relative, kind="stable")[:SHOWN]]


def write(folder: Path, audit: Audit) -> None:
    """Write what the audits of all methods share, without the training pictures."""
    tensors = {f"{name}/{key}": torch.from_numpy(np.ascontiguousarray(value))
               for name, view in audit.views.items()
               for key, value in {**_stored(view.training), "centres": view.centres,
                                  "test_index": view.test.index,
                                  "test_distance": view.test.distance, "test_cells": view.test_cells,
                                  "near": np.array([view.threshold])}.items()
               if (name, key) != ("pixels", "points")}
    files.write_tensors(folder / FILE, tensors, {"limit": audit.limit})


def read(folder: Path, train: np.ndarray) -> Audit:
    """Read what `write` wrote. train: the same training pictures, uint8 (N, C, H, W).

    Raises StorageError if the file is missing or damaged.
    """
    tensors, metadata = files.read_tensors(folder / FILE)
    views = {}
    for name in VIEWS:
        part = {key.removeprefix(f"{name}/"): value.numpy() for key, value in tensors.items()
                if key.startswith(f"{name}/")}
        if "rows" in part:
            training: Training = Survey.of(train, part["rows"])
        else:
            points = memorization.as_points(train) if name == "pixels" else part["points"]
            training = TrainingPoints(points, part["nearest"], part["local"])
        views[name] = View(training, part["centres"], Nearest(part["test_index"], part["test_distance"]),
                           part["test_cells"], float(part["near"][0]))
    return Audit(views, metadata["limit"])


def _stored(training: Training) -> dict[str, np.ndarray]:
    """What cannot be computed again quickly."""
    return {"rows": training.rows} if isinstance(training, Survey) else vars(training)


def _measure(view: View, points: np.ndarray, nearest: Nearest) -> dict[str, dict[str, float]]:
    numbers = {"near_duplicates": of_share(nearest.relative_distance(view.training) < view.threshold,
                                           "exact"),
               "closer": all_rounded(memorization.closer_than_real(nearest.distance, view.test.distance)),
               "authenticity": of_share(memorization.authenticity(nearest, view.training), "exact")}
    with suppress(ValueError):  # C_T is undefined if no cell has enough samples and enough real pictures
        numbers["c_t"] = {"value": rounded(memorization.c_t(view.test.distance, view.test_cells,
                                                            nearest.distance,
                                                            memorization.cell_of(points, view.centres)))}
    return numbers
