"""Mode collapse: classes that a generator leaves out, and pictures that it makes more than once."""

import numpy as np
from scipy.special import xlogy

from aigc.metrics.neighbours import nearest

COVERED = 0.1  # of an even share: a class with less may be there only by the classifier's errors


def classes_covered(predicted: np.ndarray, classes: int) -> int:
    """The number of classes that have at least COVERED of an even share among `predicted`, int (n,)."""
    counts = _counts(predicted, classes)
    return int((counts >= COVERED * len(predicted) / classes).sum())


def class_entropy(predicted: np.ndarray, classes: int) -> float:
    """Entropy of the predicted classes, int (n,), over its maximum: 1 if even, 0 if there is one."""
    shares = _counts(predicted, classes) / len(predicted)
    return max(0.0, float(-xlogy(shares, shares).sum() / np.log(classes)))


def duplicates(points: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of points (n, d) that are less than `radius` apart, nearest first.

    Returns int64 (pairs, 2) with first < second, and their distances. Raises ValueError below two points.
    """
    squares, _ = nearest(points, points, 1, same=True)
    candidates = np.flatnonzero(np.sqrt(squares[:, 0]) < radius)  # only these have a neighbour within radius
    near_points = points[candidates].astype(np.float64)
    firsts, seconds, distances = [], [], []
    for position in range(len(candidates) - 1):
        apart = np.linalg.norm(near_points[position + 1:] - near_points[position], axis=1)
        near = np.flatnonzero(apart < radius)
        firsts.append(np.full(len(near), candidates[position]))
        seconds.append(candidates[position + 1 + near])
        distances.append(apart[near])
    if not firsts:
        return np.empty((0, 2), np.int64), np.empty(0)
    pairs, apart = np.stack([np.concatenate(firsts), np.concatenate(seconds)], 1), np.concatenate(distances)
    order = np.argsort(apart, kind="stable")
    return pairs[order], apart[order]


def support_size(pairs: int, n: int) -> float:
    """Estimate of how many distinct pictures a generator makes, from the pairs of duplicates in n samples
    (Arora et al. 2018).

    n draws from N equally likely pictures have n (n - 1) / (2 N) equal pairs on average. This is solved for
    N. If pictures are not equally likely, N is the number of equally likely ones with as many pairs. Without
    any pair, the result is that of one pair: a lower bound.
    """
    if n < 2:
        raise ValueError(f"at least 2 samples are needed, found {n}")
    return n * (n - 1) / (2 * max(1, pairs))


def _counts(predicted: np.ndarray, classes: int) -> np.ndarray:
    if classes < 2:
        raise ValueError(f"the spread over classes needs at least two classes, found {classes}")
    if len(predicted) == 0:
        raise ValueError("the spread over classes needs at least one sample")
    return np.bincount(predicted, minlength=classes)
