"""The memorization audit: what is the same for all methods is prepared once, with controls that must be caught.

Two views of a picture. `pixels`: distances under the alteration (mirror, shift) that brings a picture nearest to training;
it decides, because it catches all that is planted. `features`: distances in the evaluator's features, as the papers use
them; shown beside, because features see neither a mirrored nor a shifted picture as the one that it was.
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
from aigc.metrics.memorization import Nearest, Survey

FILE = "memorization.safetensors"
VIEWS = ("pixels", "features")
PLANTED = 300  # copies of each kind
SHOWN = 12  # samples that the report shows beside their training pictures
HOLDOUT_FAILS = "it holds near-copies of training pictures; remove them, or raise audit.max_near_duplicates"
COPIES_PASS = ("real test pictures come as near to training pictures, as twins and mirrored twins do; remove them, "
               "or raise audit.near_duplicate")
FEWEST = memorization.CELLS * memorization.SMALLEST_CELL


@dataclass(frozen=True)
class View:
    """What samples are compared with in one view. centres: cells of C_T. test, test_cells: where real test pictures lie.

    near: the relative distance to training below which a share `near_duplicate` of real test pictures lies.
    """

    training: Survey
    centres: np.ndarray
    test: Nearest
    test_cells: np.ndarray
    near: float


@dataclass(frozen=True)
class Audit:
    """Both views, and the gate."""

    views: dict[str, View]
    limit: float

    def locate(self, images: np.ndarray, features: np.ndarray) -> dict[str, Nearest]:
        """The nearest training picture of each sample in each view. images: uint8 (n, C, H, W); features: (n, d)."""
        return {"pixels": memorization.find_altered(images, self.views["pixels"].training),
                "features": memorization.find(features, self.views["features"].training)}

    def score(self, images: np.ndarray, features: np.ndarray) -> tuple[dict[str, Any], dict[str, Nearest]]:
        """The numbers of samples in both views, with `passes`: whether the share of near-duplicates is within the limit."""
        located = self.locate(images, features)
        points = {"pixels": memorization.as_points(images), "features": features}
        numbers: dict[str, Any] = {name: _scores(self.views[name], points[name], found) for name, found in located.items()}
        numbers["passes"] = numbers["pixels"]["near_duplicates"]["value"] <= self.limit
        return numbers, located


def prepare(train: np.ndarray, train_features: np.ndarray, test: np.ndarray, test_features: np.ndarray,
            chosen: AuditConfig) -> Audit:
    """Survey the training pictures and place the real test pictures among them. images uint8, features (n, d)."""
    if len(test) < FEWEST or len(train) < FEWEST:
        raise DataError(f"the memorization audit needs at least {FEWEST} training and {FEWEST} test pictures "
                        f"(found {len(train)} and {len(test)}); raise evaluate.sample_size or the data's size")
    views = {}
    for name, known, real in (("pixels", memorization.as_points(train), memorization.as_points(test)),
                              ("features", train_features, test_features)):
        training = memorization.survey(known)
        centres = memorization.cells(training, np.random.default_rng(stream_seed(0, Purpose.CELLS, of=name)))
        found = memorization.find_altered(test, training) if name == "pixels" else memorization.find(real, training)
        near = float(np.quantile(found.relative(training), chosen.near_duplicate))
        views[name] = View(training, centres, found, memorization.cell_of(real, centres), near)
    return Audit(views, chosen.max_near_duplicates)


def planted(train: np.ndarray) -> dict[str, np.ndarray]:
    """The copycats of the controls, by kind: uint8 (at most PLANTED, C, H, W)."""
    return {kind: controls.copycat(train, PLANTED, kind, np.random.default_rng(stream_seed(0, Purpose.COPYCAT, of=kind)))
            for kind in controls.COPYCATS}


def control(audit: Audit, copies: dict[str, tuple[np.ndarray, np.ndarray]], holdout: tuple[np.ndarray, np.ndarray]) -> dict[str, Any]:
    """The verdict on the controls, each (images, features): every copycat must fail the gate and the real holdout pass it."""
    verdict = {f"copycat by {kind}": audit.score(*pictures)[0] for kind, pictures in copies.items()}
    return {**verdict, "holdout": audit.score(*holdout)[0]}


def insist(verdict: dict[str, Any], limit: float) -> None:
    """Raises GateError when a control came out wrong: an audit that cannot tell copies from new pictures says nothing."""
    for name, numbers in verdict.items():
        real = name == "holdout"
        if numbers["passes"] == real:
            continue
        what = "the real holdout fails" if real else f"the planted {name} is not caught by"
        found = numbers["pixels"]["near_duplicates"]["value"]
        raise GateError(f"{what} the memorization audit: {found:.1%} near-duplicates, audit.max_near_duplicates is {limit:.1%}; "
                        f"the audit cannot be trusted on this data: {HOLDOUT_FAILS if real else COPIES_PASS}")


def closest(audit: Audit, located: dict[str, Nearest]) -> list[dict[str, float]]:
    """The SHOWN samples that lie nearest to training pictures in pixels, nearest first, as rows of a table."""
    found, view = located["pixels"], audit.views["pixels"]
    relative = found.relative(view.training)
    return [{"sample": int(sample), "train": int(found.index[sample]), "relative_distance": rounded(float(relative[sample])),
             "distance": rounded(float(found.distance[sample])), "flagged": int(relative[sample] < view.near)}
            for sample in np.argsort(relative, kind="stable")[:SHOWN]]


def write(folder: Path, audit: Audit) -> None:
    """Keep what every method's audit shares, but for the training pictures themselves."""
    tensors = {f"{name}/{key}": torch.from_numpy(np.ascontiguousarray(value)) for name, view in audit.views.items()
               for key, value in {**vars(view.training), "centres": view.centres, "test_index": view.test.index,
                                  "test_distance": view.test.distance, "test_cells": view.test_cells,
                                  "near": np.array([view.near])}.items() if (name, key) != ("pixels", "points")}
    files.write_tensors(folder / FILE, tensors, {"limit": audit.limit})


def read(folder: Path, train: np.ndarray) -> Audit:
    """What `write` kept, with the same training pictures uint8 (N, C, H, W). Raises StorageError when it is missing or torn."""
    tensors, metadata = files.read_tensors(folder / FILE)
    views = {}
    for name in VIEWS:
        part = {key.removeprefix(f"{name}/"): value.numpy() for key, value in tensors.items() if key.startswith(f"{name}/")}
        points = memorization.as_points(train) if name == "pixels" else part["points"]
        views[name] = View(Survey(points, part["nearest"], part["local"]), part["centres"],
                           Nearest(part["test_index"], part["test_distance"]), part["test_cells"], float(part["near"][0]))
    return Audit(views, metadata["limit"])


def _scores(view: View, points: np.ndarray, found: Nearest) -> dict[str, dict[str, float]]:
    numbers = {"near_duplicates": of_share(found.relative(view.training) < view.near, "exact"),
               "closer": all_rounded(memorization.closer(found.distance, view.test.distance)),
               "authenticity": of_share(memorization.authenticity(found, view.training), "exact")}
    with suppress(ValueError):  # where the samples fill no cell in which real pictures lie, there is no C_T
        numbers["c_t"] = {"value": rounded(memorization.c_t(view.test.distance, view.test_cells, found.distance,
                                                            memorization.cell_of(points, view.centres)))}
    return numbers
