"""How well the class that a sample was asked for is the class that a classifier sees in it."""

from dataclasses import dataclass

import numpy as np

from aigc.metrics import intervals
from aigc.metrics.frechet import distance, fit

FEWEST = 2  # pictures of a class that have a covariance


@dataclass(frozen=True)
class Report:
    """One classification. confusion: int64 (K, K), rows are what was asked for. The rest: float64 (K,), support int64 (K,)."""

    confusion: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    support: np.ndarray

    @property
    def accuracy(self) -> float:
        """The share on the diagonal."""
        return float(np.trace(self.confusion) / self.confusion.sum())

    def averages(self) -> dict[str, dict[str, float]]:
        """precision, recall and f1, each as `macro` (every class alike) and `weighted` (by support)."""
        scores = {"precision": self.precision, "recall": self.recall, "f1": self.f1}
        return {name: {"macro": float(score.mean()), "weighted": float(np.average(score, weights=self.support))}
                for name, score in scores.items()}


def report(asked: np.ndarray, seen: np.ndarray, classes: int) -> Report:
    """The classification report of labels asked for and seen, each int (n,) in [0, classes). A class that nothing was asked
    for, or that is never seen, scores 0 where its quotient is 0/0.

    Raises ValueError on no samples, unlabelled ones (-1), labels out of range, and fewer than two classes.
    """
    check(asked, classes)
    if asked.shape != seen.shape:
        raise ValueError(f"{len(asked)} labels were asked for and {len(seen)} seen")
    confusion = np.bincount(asked.astype(np.int64) * classes + seen, minlength=classes**2).reshape(classes, classes)
    right = np.diag(confusion).astype(np.float64)
    support, predicted = confusion.sum(1), confusion.sum(0)
    return Report(confusion, _quotient(right, predicted), _quotient(right, support), _quotient(2 * right, predicted + support), support)


def check(labels: np.ndarray, classes: int) -> None:
    """Raises ValueError when labels cannot be judged: none, unlabelled, out of range, or a single class."""
    if classes < 2:
        raise ValueError(f"label metrics need at least two classes, found {classes}")
    if labels.ndim != 1 or len(labels) == 0:
        raise ValueError(f"label metrics need labels of shape (n,), n at least 1, found {labels.shape}")
    outside = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(outside):
        row = int(outside[0])
        what = "unlabelled" if labels[row] == -1 else f"of class {labels[row]}"
        raise ValueError(f"picture {row} is {what}; label metrics need labels from 0 to {classes - 1}")


def fid_per_class(real: np.ndarray, real_labels: np.ndarray, generated: np.ndarray, generated_labels: np.ndarray,
                  classes: int) -> list[dict[str, float]]:
    """FID within each class at n = its number of real pictures, or of generated ones where these are fewer: value, n, and low, high where the generated ones fill several
    blocks of n. A class without enough of both has no value: {"n": ...} alone.

    real (N, d), generated (M, d): features; labels int (N,), (M,).
    """
    check(real_labels, classes)
    check(generated_labels, classes)
    return [_fid_within(real[real_labels == label], generated[generated_labels == label]) for label in range(classes)]


def _fid_within(real: np.ndarray, generated: np.ndarray) -> dict[str, float]:
    size = min(len(real), len(generated))
    if size < FEWEST:
        return {"n": size}
    gaussian = fit(real[:size])
    return {**intervals.over_blocks(lambda block: distance(gaussian, fit(block)), generated, size), "n": size}


def _quotient(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.zeros(len(above)), where=below > 0)
