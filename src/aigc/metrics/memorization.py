"""Whether samples are copies of training pictures. Distances to the nearest training picture, and what follows from them.

A copy is near a training picture; but so is a typical sample where training pictures lie dense. Every statistic here
therefore compares: with real pictures that nothing was trained on, or with how dense the training pictures lie there.
The neighbours are found by brute force in blocks: memory stays bounded, and there is no approximate index to trust.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import special
from scipy.cluster import vq

from aigc.metrics.checks import features
from aigc.metrics.chunks import stretches
from aigc.metrics.neighbours import nearest

LOCAL = 10  # training neighbours that say how dense it is there (the copy score of Carlini et al. 2023, eq. 2, takes 50 of many more, around the generated picture)
REACH = 1  # pixels that a copy may be shifted by, each way, beside being mirrored
LARGEST_SIDE = 32  # pixels a side that are compared; larger pictures are averaged down to it
CELLS, SMALLEST_CELL = 5, 20  # of C_T (Meehan et al. 2020: cells by k-means, those with fewer than 20 samples are left out)


@dataclass(frozen=True)
class Survey:
    """The training pictures as points, and how dense they lie.

    points: float32 (N, d). nearest: float64 (N,), the distance of each to its nearest other. local: float64 (N,), the mean
    distance of each to its LOCAL nearest others (to all others, where there are fewer). Others are points that differ: around a
    picture that comes twice it is no denser for that, and a copy of it no farther away.
    """

    points: np.ndarray
    nearest: np.ndarray
    local: np.ndarray


@dataclass(frozen=True)
class Nearest:
    """The nearest training picture of each sample: index int64 (n,), Euclidean distance float64 (n,)."""

    index: np.ndarray
    distance: np.ndarray

    def relative(self, training: Survey) -> np.ndarray:
        """Distance in units of the local distance around the training picture: float64 (n,); 0 is an exact copy."""
        local = training.local[self.index]
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.distance == 0, 0.0, self.distance / local)


def survey(points: np.ndarray) -> Survey:
    """The survey of training points (N, d). Raises ValueError below two points or where one is not finite."""
    points = features(points, at_least=2)
    rows = np.ascontiguousarray(points).view(f"V{points.itemsize * points.shape[1]}")[:, 0]  # whole rows compare at once, as bytes
    _, first, which = np.unique(rows, return_index=True, return_inverse=True)
    distinct = points[first]
    squares = nearest(distinct, distinct, min(LOCAL, len(distinct) - 1), same=True)[0] if len(distinct) > 1 else np.zeros((1, 1))
    distances = np.sqrt(squares)[which]
    return Survey(points.astype(np.float32), distances[:, 0], distances.mean(1))


def find(samples: np.ndarray, training: Survey) -> Nearest:
    """The nearest training point of each of samples (n, d); among equals the first."""
    squares, index = nearest(samples, training.points, 1)
    return Nearest(index[:, 0], np.sqrt(squares[:, 0]))


def find_altered(images: np.ndarray, training: Survey) -> Nearest:
    """The nearest training picture of each of images under the alteration that brings it nearest: mirrored or not, and
    shifted by up to REACH pixels. images: uint8 (n, C, H, W); training: the survey of `as_points` of the training pictures."""
    best = np.full(len(images), np.inf, np.float32)
    index, distance = np.zeros(len(images), np.int64), np.full(len(images), np.inf)
    norms = np.square(training.points).sum(1)
    for points in as_points_altered(images):
        for rows in stretches(len(points), len(norms)):
            squares = points[rows] @ training.points.T
            squares *= -2
            squares += np.square(points[rows]).sum(1)[:, None]
            squares += norms
            candidate = squares.argmin(1)
            square = squares[np.arange(len(squares)), candidate]
            nearer = np.flatnonzero(square < best[rows])
            places = nearer + rows.start
            best[places], index[places] = square[nearer], candidate[nearer]
            # The product above loses digits where two points are near; the distance is taken again from the difference.
            distance[places] = np.linalg.norm(points[places].astype(np.float64) - training.points[index[places]], axis=1)
    return Nearest(index, distance)


def as_points(images: np.ndarray) -> np.ndarray:
    """uint8 (n, C, H, W) -> float32 (n, C h w) in [0, 1]: what is REACH pixels or more from the edge, averaged down to at most
    LARGEST_SIDE a side. A picture that is shifted by no more still holds all of it, whatever came in at its edge."""
    return _window(_reduced(images), 0, 0)


def as_points_altered(images: np.ndarray) -> Iterator[np.ndarray]:
    """`as_points` under each alteration in turn; the pictures as they are come first."""
    reduced = _reduced(images)
    steps = sorted(range(-REACH, REACH + 1), key=abs)
    for candidate in (reduced, reduced[..., ::-1]):
        for rows in steps:
            for columns in steps:
                yield _window(candidate, rows, columns)


def authenticity(found: Nearest, training: Survey) -> np.ndarray:
    """Which samples are authentic (Alaa et al. 2022, section 4.3): farther from their training picture than it is from its
    own nearest other. bool (n,); the metric is its mean, about one half for real pictures where no dimension is empty."""
    return found.distance > training.nearest[found.index]


def cells(training: Survey, rng: np.random.Generator, count: int = CELLS) -> np.ndarray:
    """Centres of the cells of C_T: k-means of the training points: float64 (at most count, d)."""
    count = min(count, len(training.points))
    return np.asarray(vq.kmeans2(training.points.astype(np.float64), count, minit="++", missing="warn", rng=rng)[0])


def cell_of(samples: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """The cell of each of samples (n, d): int64 (n,)."""
    return np.asarray(vq.vq(samples.astype(np.float64), centres)[0], dtype=np.int64)


def mann_whitney_z(real: np.ndarray, generated: np.ndarray) -> float:
    """Standardised Mann-Whitney U of generated above real distances: below 0 where generated are nearer (Meehan 2020, eq. 2)."""
    n, m = len(real), len(generated)
    u = n * float((1 - _share_above(np.sort(real), generated)).sum())
    return (u - n * m / 2) / float(np.sqrt(n * m * (n + m + 1) / 12))


def c_t(real: np.ndarray, real_cells: np.ndarray, generated: np.ndarray, generated_cells: np.ndarray) -> float:
    """C_T (Meehan et al. 2020, eq. 3): the mean over cells of Z(U), weighted by the share of real pictures there.

    real, generated: distances to the nearest training point (n,), (m,), with the cell of each; nearest of all, where the paper
    looks among the training points of the same cell, so that a copy beside a border is not taken for new. Far below 0: copying; above:
    farther from the training pictures than real ones are. Where there is neither, each Z(U) has a standard deviation of 1 and
    their mean one of about 1 / sqrt(CELLS) = 0.45. Raises ValueError when no cell holds enough of both.
    """
    total, weights = 0.0, 0.0
    for cell in np.unique(real_cells):
        here, there = real[real_cells == cell], generated[generated_cells == cell]
        if min(len(here), len(there)) >= SMALLEST_CELL:
            total += len(here) * mann_whitney_z(here, there)
            weights += len(here)
    if weights == 0:
        raise ValueError(f"no cell holds {SMALLEST_CELL} real and {SMALLEST_CELL} generated pictures; C_T needs more samples")
    return total / weights


def closer(generated: np.ndarray, real: np.ndarray, confidence: float = 0.95) -> dict[str, float]:
    """How often a sample is nearer to its training picture than a real test picture is to its own, equals for half.

    One half for real pictures, 1 for a copier. Interval: DeLong et al. 1988, normal. At least two distances of each.
    """
    if min(len(generated), len(real)) < 2:
        raise ValueError("at least 2 distances of each kind are needed")
    beaten_by_sample = _share_above(np.sort(real), generated)
    beaten_by_real = 1 - _share_above(np.sort(generated), real)
    value = float(beaten_by_sample.mean())
    error = np.sqrt(beaten_by_sample.var(ddof=1) / len(generated) + beaten_by_real.var(ddof=1) / len(real))
    reach = float(special.ndtri((1 + confidence) / 2) * error)
    return {"value": value, "low": max(0.0, value - reach), "high": min(1.0, value + reach)}


def _share_above(ordered: np.ndarray, values: np.ndarray) -> np.ndarray:
    """For each value the share of `ordered` above it, equals for half."""
    left, right = np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")
    return np.asarray(1 - (left + right) / (2 * len(ordered)))


def _reduced(images: np.ndarray) -> np.ndarray:
    """float32 (n, C, h, w) in [0, 1]."""
    count, channels, height, width = images.shape
    factor = max(1, -(-max(height, width) // LARGEST_SIDE))
    images = images[:, :, :height // factor * factor, :width // factor * factor]
    split = images.reshape(count, channels, height // factor, factor, width // factor, factor)
    return np.asarray(split.mean((3, 5), dtype=np.float32) / np.float32(255))


def _window(images: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """The inside of (n, C, h, w), all but REACH pixels of each edge, after a shift down and right by up to REACH: (n, d)."""
    height, width = images.shape[2:]
    inside = images[:, :, REACH - rows:height - REACH - rows, REACH - columns:width - REACH - columns]
    return np.ascontiguousarray(inside.reshape(len(images), -1))
