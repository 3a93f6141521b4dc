"""Nearest neighbours, and the metrics that use them: precision, recall, density and coverage.

Precision and recall: Kynkäänniemi et al. 2019. Density and coverage: Naeem et al. 2020. All use k-NN balls:
around each sample of a set, the ball whose radius is the distance to its k-th neighbour in that set. A point
on the surface is inside.

Distances are first estimated by a matrix product, in blocks of rows. Where its rounding could change the
result, they are computed from the differences. So the result depends neither on the order of summation nor on
the size of a block. Of equal distances the lower index comes first.
"""

from dataclasses import dataclass

import numpy as np

from aigc.metrics import pairs
from aigc.metrics.arrays import BLOCK_ELEMENTS, as_features


@dataclass(frozen=True)
class KnnBalls:
    """points: float64 (n, d). squared_radii: float64 (n,), the squared distance of each point to its k-th
    neighbour.
    """

    points: np.ndarray
    squared_radii: np.ndarray
    k: int


def nearest(queries: np.ndarray, pool: np.ndarray, k: int,
            same: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest of pool (m, d) to each of queries (n, d), nearest first: squared distances float64 (n,
    k), indices int64.

    same: queries and pool are the same set, and no sample is its own neighbour. Raises ValueError if pool is
    too small.
    """
    queries, pool = as_features(queries, at_least=1), as_features(pool, at_least=k + 1 if same else k)
    _same_width(queries, pool)
    distances, indices = np.empty((len(queries), k)), np.empty((len(queries), k), dtype=np.int64)
    for row, column in pairs.current().near(queries, pool, k, same):
        exact = _exact(queries, pool, row, column)
        order = np.lexsort((column, exact, row))
        rows, starts = np.unique(row, return_index=True)
        taken = order[starts[:, None] + np.arange(k)]
        distances[rows], indices[rows] = exact[taken], column[taken]
    return distances, indices


def knn_balls(samples: np.ndarray, k: int) -> KnnBalls:
    """The k-NN balls of samples (n, d), n > k."""
    samples = as_features(samples, at_least=k + 1)
    return KnnBalls(samples, nearest(samples, samples, k, same=True)[0][:, k - 1], k)


def count_inside(balls: KnnBalls, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For queries (m, d): the number of balls around each query int64 (m,), and of queries inside each ball
    int64 (n,).
    """
    queries = as_features(queries, at_least=1)
    _same_width(queries, balls.points)
    per_query, per_ball, (row, column) = pairs.current().inside(queries, balls.points, balls.squared_radii)
    inside = _exact(queries, balls.points, row, column) <= balls.squared_radii[column]
    np.add.at(per_query, row[inside], 1)
    np.add.at(per_ball, column[inside], 1)
    return per_query, per_ball


def precision(real: KnnBalls, generated: np.ndarray) -> float:
    """The share of generated samples (m, d) inside a ball around a real one; in [0, 1]."""
    return float((count_inside(real, generated)[0] > 0).mean())


def recall(real: np.ndarray, generated: KnnBalls) -> float:
    """The share of real samples (n, d) inside a ball around a generated one; in [0, 1]."""
    return float((count_inside(generated, real)[0] > 0).mean())


def density(real: KnnBalls, generated: np.ndarray) -> float:
    """The mean number of real balls around a generated sample, divided by k. About 1 for equal distributions;
    may exceed 1.
    """
    return float(count_inside(real, generated)[0].mean() / real.k)


def coverage(real: KnnBalls, generated: np.ndarray) -> float:
    """The share of real balls with a generated sample inside; in [0, 1]. It rises with the number of
    generated samples.
    """
    return float((count_inside(real, generated)[1] > 0).mean())


def _same_width(x: np.ndarray, y: np.ndarray) -> None:
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"features of {x.shape[1]} and of {y.shape[1]} columns cannot be compared")


def _exact(queries: np.ndarray, pool: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Squared distances of the pairs (row[i], column[i]) from their differences: float64 (pairs,)."""
    squares = np.empty(len(row))
    step = max(1, BLOCK_ELEMENTS // queries.shape[1])
    for start in range(0, len(row), step):
        part = slice(start, start + step)
        squares[part] = pairs.squared_norms(queries[row[part]] - pool[column[part]])
    return squares
