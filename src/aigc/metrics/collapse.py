"""Whether a generator makes only part of what it learned from: classes that are missing, and pictures that come twice."""

import numpy as np
from scipy.special import xlogy

from aigc.metrics.neighbours import nearest

COVERED = 0.1  # a class is covered when it has at least this part of its even share; below, a classifier's slips would do


def classes_covered(seen: np.ndarray, classes: int) -> int:
    """How many classes have at least a tenth of an even share among predicted classes, int (n,) in [0, classes)."""
    counts = _counts(seen, classes)
    return int((counts >= COVERED * len(seen) / classes).sum())


def class_entropy(seen: np.ndarray, classes: int) -> float:
    """Entropy of the predicted classes over that of the uniform law: 1 when all are even, 0 when there is only one."""
    shares = _counts(seen, classes) / len(seen)
    return max(0.0, float(-xlogy(shares, shares).sum() / np.log(classes)))


def duplicates(points: np.ndarray, within: float) -> tuple[np.ndarray, np.ndarray]:
    """All pairs of points (n, d) nearer to each other than `within`: int64 (pairs, 2), first < second, nearest first, and
    their distances. Raises ValueError below two points."""
    squares, _ = nearest(points, points, 1, same=True)
    candidates = np.flatnonzero(np.sqrt(squares[:, 0]) < within)  # both ends of a pair have a neighbour that near
    chosen = points[candidates].astype(np.float64)
    firsts, seconds, distances = [], [], []
    for place in range(len(candidates) - 1):
        apart = np.linalg.norm(chosen[place + 1:] - chosen[place], axis=1)
        near = np.flatnonzero(apart < within)
        firsts.append(np.full(len(near), candidates[place]))
        seconds.append(candidates[place + 1 + near])
        distances.append(apart[near])
    if not firsts:
        return np.empty((0, 2), np.int64), np.empty(0)
    pairs, apart = np.stack([np.concatenate(firsts), np.concatenate(seconds)], 1), np.concatenate(distances)
    order = np.argsort(apart, kind="stable")
    return pairs[order], apart[order]


def support_size(pairs: int, n: int) -> float:
    """How many distinct pictures a generator makes, from the pairs of duplicates among n samples (Arora et al. 2018).

    For draws from N equally likely pictures the expected number of pairs is n (n - 1) / (2 N); N is that, solved. Where
    pictures are not equally likely, it is the number of equally likely ones that would collide as often. With no pair at
    all the answer is what one pair would say: at least about so many.
    """
    if n < 2:
        raise ValueError(f"at least 2 samples are needed, found {n}")
    return n * (n - 1) / (2 * max(1, pairs))


def _counts(seen: np.ndarray, classes: int) -> np.ndarray:
    if classes < 2:
        raise ValueError(f"the spread over classes needs at least two classes, found {classes}")
    if len(seen) == 0:
        raise ValueError("the spread over classes needs at least one sample")
    return np.bincount(seen, minlength=classes)
