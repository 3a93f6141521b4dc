"""What is computed for all pairs of two sets of samples: most of the time of an evaluation.

`Pairs` computes with numpy. Another computer of the same results, such as one on a GPU, can take its place:
`compute_with`. What its rounding could change is returned as candidates, which the caller computes exactly.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import numpy as np

from aigc.metrics.arrays import row_blocks

POOL = 1 << 16  # points of a pool that are searched at a time: a product with few rows is slow
MAX_TIES = 64  # beyond k; of more equally near points, those of the lowest indices are taken
Candidates = tuple[np.ndarray, np.ndarray]  # rows of the queries, rows of the pool: int64 (pairs,) each
Block = tuple[int, np.ndarray]  # the row of its first query, the queries (b, d)


class Pairs:
    """With numpy. All arrays are float64 where nothing else is said; queries (n, d), pool (m, d).

    in_order: calls a function on blocks of queries, as `map` does; it may be another process that computes.
    """

    def __init__(self, in_order: Callable[..., Iterator[Any]] = map) -> None:
        self.in_order = in_order

    def near(self, queries: np.ndarray, pool: np.ndarray, k: int, same: bool) -> Iterator[Candidates]:
        """The pairs that may be among the k nearest of a query, in the order of the queries, by blocks of
        whole queries.

        same: queries and pool are the same set, and no sample is its own neighbour.
        """
        return self.in_order(partial(_near, pool, squared_norms(pool), k, same), _blocks(queries, pool))

    def inside(self, queries: np.ndarray, centres: np.ndarray,
               squared_radii: np.ndarray) -> tuple[np.ndarray, np.ndarray, Candidates]:
        """How many balls are surely around each query int64 (n,), how many queries surely in each ball
        int64 (m,), and the pairs of which it is not sure.
        """
        of_queries, unsure = [], []
        per_ball = np.zeros(len(centres), dtype=np.int64)
        work = partial(_inside, centres, squared_norms(centres), squared_radii)
        for of_block, of_balls, candidates in self.in_order(work, _blocks(queries, centres)):
            of_queries.append(of_block)
            per_ball += of_balls
            unsure.append(candidates)
        return np.concatenate(of_queries), per_ball, joined(unsure)

    def kernel_sums(self, x: np.ndarray, y: np.ndarray, same: bool) -> tuple[np.ndarray, np.ndarray]:
        """The sums of (x.y / d + 1)^3 over all y, for each x (n,), and over all x, for each y (m,).

        same: x and y are the same set, and no sample is paired with itself.
        """
        of_x, of_y = [], np.zeros(len(y))
        for of_block, of_all in self.in_order(partial(_kernel_sums, y, same), _blocks(x, y)):
            of_x.append(of_block)
            of_y += of_all
        return np.concatenate(of_x), of_y

    def nearest_roughly(self, sets: Iterable[np.ndarray],
                        pool: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """For each set of queries, the nearest of pool to each, all float32: index int64 (n,), squared
        distance float32 (n,).
        """
        parts = [pool[start:start + POOL] for start in range(0, len(pool), POOL)]
        norms = [np.square(part).sum(1) for part in parts]
        work, ends = partial(_nearest_roughly, parts, norms), deque[bool]()

        def blocks() -> Iterator[Block]:
            for queries in sets:
                for start, block in _blocks(queries, parts[0]):
                    ends.append(start + len(block) == len(queries))
                    yield start, block

        found = []
        for part in self.in_order(work, blocks()):
            found.append(part)
            if ends.popleft():
                yield joined(found)
                found = []


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


def joined(parts: list[tuple[np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray]:
    """The pairs of arrays of several blocks as one."""
    return np.concatenate([first for first, _ in parts]), np.concatenate([second for _, second in parts])


def _blocks(queries: np.ndarray, pool: np.ndarray) -> Iterator[Block]:
    return ((rows.start, queries[rows]) for rows in row_blocks(len(queries), len(pool)))


def _near(pool: np.ndarray, norms: np.ndarray, k: int, same: bool, block: Block) -> Candidates:
    start, queries = block
    estimated, error = _estimate(queries, pool, norms)
    if same:
        estimated[np.arange(len(queries)), np.arange(start, start + len(queries))] = np.inf
    kth = np.partition(estimated, k - 1, axis=1)[:, k - 1, None]
    near = estimated <= kth + 2 * error[:, None]
    if near.sum(1).max() > k + MAX_TIES:
        tied = near & (estimated >= kth - 2 * error[:, None])
        near &= ~tied | (np.cumsum(tied, axis=1, dtype=np.int32) <= k + MAX_TIES)
    row, column = np.nonzero(near)
    return row + start, column


def _inside(centres: np.ndarray, norms: np.ndarray, squared_radii: np.ndarray,
            block: Block) -> tuple[np.ndarray, np.ndarray, Candidates]:
    start, queries = block
    estimated, error = _estimate(queries, centres, norms)
    estimated -= squared_radii
    inside = estimated <= 0
    row, column = np.nonzero(np.abs(estimated, out=estimated) <= error[:, None])
    inside[row, column] = False
    return inside.sum(1), inside.sum(0), (row + start, column)


def _kernel_sums(y: np.ndarray, same: bool, block: Block) -> tuple[np.ndarray, np.ndarray]:
    start, x = block
    values = x @ y.T
    values /= x.shape[1]
    values += 1
    values = values * values * values  # values ** 3 takes ten times as long
    if same:
        values[np.arange(len(x)), np.arange(start, start + len(x))] = 0
    return values.sum(1), values.sum(0)


def _nearest_roughly(pool: list[np.ndarray], norms: list[np.ndarray],
                     block: Block) -> tuple[np.ndarray, np.ndarray]:
    _, queries = block
    rows, own_norms = np.arange(len(queries)), np.square(queries).sum(1)[:, None]
    index, least = np.zeros(len(queries), np.int64), np.full(len(queries), np.inf, np.float32)
    first = 0
    for part, of_part in zip(pool, norms, strict=True):
        squares = queries @ part.T
        squares *= -2
        squares += own_norms
        squares += of_part
        found = squares.argmin(1)
        square = squares[rows, found]
        index, least = np.where(square < least, found + first, index), np.minimum(square, least)
        first += len(part)
    return index, least


def _estimate(queries: np.ndarray, pool: np.ndarray, norms: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Squared distances (n, m) by a matrix product, and the bound (n,) on their error."""
    query_norms = squared_norms(queries)
    estimated = queries @ pool.T
    estimated *= -2
    estimated += query_norms[:, None]
    estimated += norms
    return estimated, error_bounds(query_norms, norms.max(), queries.shape[1])
