"""What nearest neighbours say of fidelity and diversity: precision and recall, density and coverage; and the search itself.

Precision and recall: Kynkäänniemi et al. 2019. Density and coverage: Naeem et al. 2020. All rest on balls around the
samples of one set that reach to the k-th neighbour within that set; a point on the rim is inside.

Distances are screened through a matrix product, a stretch of rows at a time, and computed again by differences where
the screen's rounding could decide. So neither the order of summation nor the size of a stretch changes an answer, and
equal distances are equal: ties go to the lower index.
"""

from dataclasses import dataclass

import numpy as np

from aigc.metrics.checks import features
from aigc.metrics.chunks import ELEMENTS, stretches

MOST_TIES = 64  # beyond k; where more are equally near, the lower indices are taken without a closer look


@dataclass(frozen=True)
class Balls:
    """points: float64 (n, d). squared_radii: float64 (n,), the squared distance of each to its k-th neighbour among the others."""

    points: np.ndarray
    squared_radii: np.ndarray
    k: int


def nearest(queries: np.ndarray, pool: np.ndarray, k: int, same: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest of pool (m, d) to each of queries (n, d): squared distances float64 (n, k) rising, indices int64 (n, k).

    same: the two are one set, and no sample is its own neighbour. Raises ValueError when pool is too small.
    """
    queries, pool = features(queries, at_least=1), features(pool, at_least=k + 1 if same else k)
    _same_width(queries, pool)
    distances, indices = np.empty((len(queries), k)), np.empty((len(queries), k), dtype=np.int64)
    norms = _norms(pool)
    for rows in stretches(len(queries), len(pool)):
        screened, doubt = _screen(queries[rows], pool, norms)
        if same:
            screened[np.arange(len(screened)), np.arange(rows.start, rows.stop)] = np.inf
        edge = np.partition(screened, k - 1, axis=1)[:, k - 1, None]
        near = screened <= edge + 2 * doubt[:, None]
        if near.sum(1).max() > k + MOST_TIES:
            tied = near & (screened >= edge - 2 * doubt[:, None])
            near &= ~tied | (np.cumsum(tied, axis=1, dtype=np.int32) <= k + MOST_TIES)
        row, column = np.nonzero(near)
        exact = _exact(queries[rows], pool, row, column)
        order = np.lexsort((column, exact, row))
        starts = np.concatenate([[0], np.cumsum(near.sum(1))[:-1]])
        taken = order[starts[:, None] + np.arange(k)]
        distances[rows], indices[rows] = exact[taken], column[taken]
    return distances, indices


def balls(samples: np.ndarray, k: int) -> Balls:
    """The balls around samples (n, d), n > k, that reach to each one's k-th neighbour."""
    samples = features(samples, at_least=k + 1)
    return Balls(samples, nearest(samples, samples, k, same=True)[0][:, k - 1], k)


def held(around: Balls, queries: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """How many balls hold each query, and how many queries each ball holds: int64 (m,), (n,)."""
    queries = features(queries, at_least=1)
    _same_width(queries, around.points)
    of_query, of_ball = np.empty(len(queries), dtype=np.int64), np.zeros(len(around.points), dtype=np.int64)
    norms = _norms(around.points)
    for rows in stretches(len(queries), len(norms)):
        screened, doubt = _screen(queries[rows], around.points, norms)
        screened -= around.squared_radii
        inside = screened <= 0
        row, column = np.nonzero(np.abs(screened, out=screened) <= doubt[:, None])
        inside[row, column] = _exact(queries[rows], around.points, row, column) <= around.squared_radii[column]
        of_query[rows] = inside.sum(1)
        of_ball += inside.sum(0)
    return of_query, of_ball


def precision(real: Balls, generated: np.ndarray) -> float:
    """The share of generated samples (m, d) that lie in some ball around a real one; in [0, 1]."""
    return float((held(real, generated)[0] > 0).mean())


def recall(real: np.ndarray, generated: Balls) -> float:
    """The share of real samples (n, d) that lie in some ball around a generated one; in [0, 1]."""
    return float((held(generated, real)[0] > 0).mean())


def density(real: Balls, generated: np.ndarray) -> float:
    """In how many real balls a generated sample lies on average, divided by k; about 1 where the two agree, may exceed 1."""
    return float(held(real, generated)[0].mean() / real.k)


def coverage(real: Balls, generated: np.ndarray) -> float:
    """The share of real balls that hold a generated sample; in [0, 1]. It rises with the number of generated samples."""
    return float((held(real, generated)[1] > 0).mean())


def _same_width(x: np.ndarray, y: np.ndarray) -> None:
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"features of {x.shape[1]} and of {y.shape[1]} columns cannot be compared")


def _norms(samples: np.ndarray) -> np.ndarray:
    return np.asarray(np.einsum("ij,ij->i", samples, samples))


def _screen(queries: np.ndarray, pool: np.ndarray, norms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Squared distances (n, m) by a matrix product, and by how much those of each query may err (n,)."""
    own = _norms(queries)
    screened = queries @ pool.T
    screened *= -2
    screened += own[:, None]
    screened += norms
    return screened, 4 * np.finfo(np.float64).eps * (queries.shape[1] + 4) * (own + norms.max())


def _exact(queries: np.ndarray, pool: np.ndarray, row: np.ndarray, column: np.ndarray) -> np.ndarray:
    """Squared distances of the pairs (row[i], column[i]) by differences: float64 (pairs,)."""
    found = np.empty(len(row))
    step = max(1, ELEMENTS // queries.shape[1])
    for start in range(0, len(row), step):
        part = slice(start, start + step)
        found[part] = _norms(queries[row[part]] - pool[column[part]])
    return found
