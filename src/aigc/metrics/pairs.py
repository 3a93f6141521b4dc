"""What is computed for all pairs of two sets of samples: most of the time of an evaluation.

`Pairs` computes with numpy. Another computer of the same results, such as one on a GPU, can take its place:
`compute_with`. What its rounding could change is returned as candidates, which the caller computes exactly.
"""

from collections.abc import Iterator

import numpy as np

from aigc.metrics.arrays import row_blocks

MAX_TIES = 64  # beyond k; of more equally near points, those of the lowest indices are taken
Candidates = tuple[np.ndarray, np.ndarray]  # rows of the queries, rows of the pool: int64 (pairs,) each


class Pairs:
    """With numpy. All arrays are float64 where nothing else is said; queries (n, d), pool (m, d)."""

    def near(self, queries: np.ndarray, pool: np.ndarray, k: int, same: bool) -> Iterator[Candidates]:
        """The pairs that may be among the k nearest of a query, in the order of the queries, by blocks of
        whole queries.

        same: queries and pool are the same set, and no sample is its own neighbour.
        """
        norms = squared_norms(pool)
        for rows in row_blocks(len(queries), len(pool)):
            estimated, error = _estimate(queries[rows], pool, norms)
            if same:
                estimated[np.arange(len(estimated)), np.arange(rows.start, rows.stop)] = np.inf
            kth = np.partition(estimated, k - 1, axis=1)[:, k - 1, None]
            near = estimated <= kth + 2 * error[:, None]
            if near.sum(1).max() > k + MAX_TIES:
                tied = near & (estimated >= kth - 2 * error[:, None])
                near &= ~tied | (np.cumsum(tied, axis=1, dtype=np.int32) <= k + MAX_TIES)
            row, column = np.nonzero(near)
            yield row + rows.start, column

    def inside(self, queries: np.ndarray, centres: np.ndarray,
               squared_radii: np.ndarray) -> tuple[np.ndarray, np.ndarray, Candidates]:
        """How many balls are surely around each query int64 (n,), how many queries surely in each ball
        int64 (m,), and the pairs of which it is not sure.
        """
        per_query = np.empty(len(queries), dtype=np.int64)
        per_ball = np.zeros(len(centres), dtype=np.int64)
        norms, unsure = squared_norms(centres), []
        for rows in row_blocks(len(queries), len(centres)):
            estimated, error = _estimate(queries[rows], centres, norms)
            estimated -= squared_radii
            inside = estimated <= 0
            row, column = np.nonzero(np.abs(estimated, out=estimated) <= error[:, None])
            inside[row, column] = False
            per_query[rows] = inside.sum(1)
            per_ball += inside.sum(0)
            unsure.append((row + rows.start, column))
        return per_query, per_ball, joined(unsure)

    def kernel_sums(self, x: np.ndarray, y: np.ndarray, same: bool) -> tuple[np.ndarray, np.ndarray]:
        """The sums of (x.y / d + 1)^3 over all y, for each x (n,), and over all x, for each y (m,).

        same: x and y are the same set, and no sample is paired with itself.
        """
        of_x, of_y = np.empty(len(x)), np.zeros(len(y))
        for rows in row_blocks(len(x), len(y)):
            block = x[rows] @ y.T
            block /= x.shape[1]
            block += 1
            block = block * block * block  # block ** 3 takes ten times as long
            if same:
                block[np.arange(len(block)), np.arange(rows.start, rows.stop)] = 0
            of_x[rows] = block.sum(1)
            of_y += block.sum(0)
        return of_x, of_y

    def nearest_roughly(self, queries: np.ndarray, pool: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The nearest of pool to each query, all float32: index int64 (n,), squared distance float32 (n,)."""
        index, squares = np.empty(len(queries), np.int64), np.empty(len(queries), np.float32)
        norms = np.square(pool).sum(1)
        for rows in row_blocks(len(queries), len(pool)):
            block = queries[rows] @ pool.T
            block *= -2
            block += np.square(queries[rows]).sum(1)[:, None]
            block += norms
            index[rows] = block.argmin(1)
            squares[rows] = block[np.arange(len(block)), index[rows]]
        return index, squares


class _Current:
    pairs = Pairs()


def current() -> Pairs:
    """What computes now."""
    return _Current.pairs


def compute_with(pairs: Pairs) -> None:
    """From now on the metrics of this process compute with `pairs`."""
    _Current.pairs = pairs


def squared_norms(samples: np.ndarray) -> np.ndarray:
    """(n, d) -> (n,)"""
    return np.asarray(np.einsum("ij,ij->i", samples, samples))


def error_bounds(query_norms: np.ndarray, largest: float, columns: int) -> np.ndarray:
    """A bound (n,) on the error of a squared distance that a float64 product estimates, in any order of its
    sum. query_norms: squared, (n,). largest: squared norm of the pool.
    """
    return np.asarray(4 * np.finfo(np.float64).eps * (columns + 4) * (query_norms + largest))


def joined(parts: list[Candidates]) -> Candidates:
    """The candidates of several blocks as one."""
    return (np.concatenate([row for row, _ in parts]), np.concatenate([column for _, column in parts]))


def _estimate(queries: np.ndarray, pool: np.ndarray, norms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Squared distances (n, m) by a matrix product, and the bound (n,) on their error."""
    query_norms = squared_norms(queries)
    estimated = queries @ pool.T
    estimated *= -2
    estimated += query_norms[:, None]
    estimated += norms
    return estimated, error_bounds(query_norms, norms.max(), queries.shape[1])
