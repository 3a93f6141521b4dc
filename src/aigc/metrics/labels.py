"""Whether samples show the class that was requested: the class is predicted by a classifier."""

from dataclasses import dataclass

import numpy as np

from aigc.metrics import intervals
from aigc.metrics.frechet import distance, fit

FEWEST = 2  # pictures of a class; fewer have no covariance


@dataclass(frozen=True)
class Report:
    """confusion: int64 (K, K), a row for each requested class. support: int64 (K,). The rest: float64 (K,).
    """

    confusion: np.ndarray
    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    support: np.ndarray

    @property
    def accuracy(self) -> float:
        """The share of samples of the requested class."""
        return float(np.trace(self.confusion) / self.confusion.sum())

    def averages(self) -> dict[str, dict[str, float]]:
        """precision, recall and f1, each as `macro` (the mean over the requested classes) and `weighted` (by
        support).
        """
        scores = {"precision": self.precision, "recall": self.recall, "f1": self.f1}
        return {name: {"macro": float(score[self.support > 0].mean()),
                       "weighted": float(np.average(score, weights=self.support))}
                for name, score in scores.items()}


def report(requested: np.ndarray, predicted: np.ndarray, classes: int) -> Report:
    """The classification report of requested and predicted classes, each int (n,) in [0, classes). A quotient
    of 0/0 is 0.

    Raises ValueError if there are no samples, unlabelled ones (-1), labels out of range, or fewer than two
    classes.
    """
    check(requested, classes)
    if requested.shape != predicted.shape:
        raise ValueError(f"{len(requested)} labels were requested and {len(predicted)} predicted")
    confusion = np.bincount(requested.astype(np.int64) * classes + predicted, minlength=classes**2)
    confusion = confusion.reshape(classes, classes)
    correct = np.diag(confusion).astype(np.float64)
    support, predictions = confusion.sum(1), confusion.sum(0)
    return Report(confusion, _quotient(correct, predictions), _quotient(correct, support),
                  _quotient(2 * correct, predictions + support), support)


def check(labels: np.ndarray, classes: int) -> None:
    """Raises ValueError if labels have no metrics: none, unlabelled, out of range, or fewer than two classes.
    """
    if classes < 2:
        raise ValueError(f"label metrics need at least two classes, found {classes}")
    if labels.ndim != 1 or len(labels) == 0:
        raise ValueError(f"label metrics need labels of shape (n,), n at least 1, found {labels.shape}")
    outside = np.flatnonzero((labels < 0) | (labels >= classes))
    if len(outside):
        row = int(outside[0])
        what = "unlabelled" if labels[row] == -1 else f"of class {labels[row]}"
        raise ValueError(f"picture {row} is {what}; label metrics need labels from 0 to {classes - 1}")


def fid_per_class(real: np.ndarray, real_labels: np.ndarray, generated: np.ndarray,
                  generated_labels: np.ndarray, classes: int) -> list[dict[str, float]]:
    """FID within each class: {"value", "n"}, with "low", "high" if the generated pictures fill several blocks
    of n.

    n: the number of real pictures of the class, or of generated ones if they are fewer. Below FEWEST: {"n"}
    alone. real (N, d), generated (M, d): features; labels int (N,), (M,).
    """
    check(real_labels, classes)
    check(generated_labels, classes)
    return [_fid_within(real[real_labels == label], generated[generated_labels == label])
            for label in range(classes)]


def _fid_within(real: np.ndarray, generated: np.ndarray) -> dict[str, float]:
    size = min(len(real), len(generated))
    if size < FEWEST:
        return {"n": size}
    gaussian = fit(real[:size])
    return {**intervals.over_blocks(lambda block: distance(gaussian, fit(block)), generated, size), "n": size}


def _quotient(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    return np.divide(numerator, denominator, out=np.zeros(len(numerator)), where=denominator > 0)
