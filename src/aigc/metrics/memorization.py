"""Statistics of memorization: the distance of samples to their nearest training picture, and what it says.

Not for the audit with its controls and limits, which is evaluation/memorization_audit.py.

A copy is near a training picture, but so is a typical sample where training pictures are dense. Each
statistic therefore compares: with real pictures that are not in the training set, or with the density of the
training pictures there. Neighbours are found by brute force, in blocks that bound the memory. The search is
exact.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import special
from scipy.cluster import vq

from aigc.metrics import pairs
from aigc.metrics.arrays import as_features
from aigc.metrics.neighbours import nearest

# Neighbours that measure the density around a training picture. Carlini et al. 2023, eq. 2, take 50 of a much
# larger set, around the generated picture.
LOCAL_NEIGHBOURS = 10
MAX_SHIFT = 1  # pixels, in each direction, by which a detected copy may be shifted
MAX_SIDE = 32  # pixels a side at which pictures are compared; larger ones are averaged down
COARSE = 6  # pixels a side at which near pictures are looked for among very many
ROWS = 1 << 12  # pictures reduced at a time
CELLS, MIN_CELL = 5, 20  # of C_T (Meehan et al. 2020): k-means cells; a cell with fewer samples is left out


@dataclass(frozen=True)
class TrainingPoints:
    """The training pictures as points, and how dense they are.

    points: float32 (N, d). nearest: float64 (N,), the distance of each point to its nearest other point.
    local: float64 (N,), the mean distance to its LOCAL_NEIGHBOURS nearest other points (or to all, if there
    are fewer). Equal points count as one point, so that a duplicate does not change the density around it.
    """

    points: np.ndarray
    nearest: np.ndarray
    local: np.ndarray

    @classmethod
    def of(cls, points: np.ndarray) -> "TrainingPoints":
        """Of points (N, d). Raises ValueError below two points or if one is not finite."""
        points = as_features(points, at_least=2)
        rows = np.ascontiguousarray(points).view(f"V{points.itemsize * points.shape[1]}")[:,
                                                                                          0]  # a row as bytes
        _, first, inverse = np.unique(rows, return_index=True, return_inverse=True)
        distinct = points[first]
        squares = (nearest(distinct, distinct, min(LOCAL_NEIGHBOURS, len(distinct) - 1), same=True)[0]
                   if len(distinct) > 1 else np.zeros((1, 1)))
        distances = np.sqrt(squares)[inverse]
        return cls(points.astype(np.float32), distances[:, 0], distances.mean(1))

    def __len__(self) -> int:
        return len(self.points)

    @property
    def pool(self) -> np.ndarray:
        """What is searched: float32 (N, k)."""
        return self.points

    def searched(self, points: np.ndarray) -> np.ndarray:
        """Points (n, d) as they are compared with `pool`: (n, k)."""
        return points

    def points_of(self, index: np.ndarray) -> np.ndarray:
        """float32 (n, d) of these rows."""
        return self.points[index]

    def nearest_of(self, index: np.ndarray) -> np.ndarray:
        return self.nearest[index]

    def local_of(self, index: np.ndarray) -> np.ndarray:
        return self.local[index]


@dataclass(frozen=True)
class Survey:
    """Very many training pictures: time and memory grow with their number, not with its square.

    The training picture that is nearest to another picture is looked for on coarse copies of all, COARSE
    pixels a side, and then compared as TrainingPoints does. How dense they are is measured against a sample,
    and only at those that were found. Distances of pictures that are no copies can be too large for both
    reasons, for generated and real ones alike; a copy is as near to its original on coarse copies.

    images: uint8 (N, C, H, W). pool: float32 (N, k), the coarse copies. rows: int64 (s,) of the sample, and
    points: float32 (s, d), its points.
    """

    images: np.ndarray
    pool: np.ndarray
    rows: np.ndarray
    points: np.ndarray

    @classmethod
    def of(cls, images: np.ndarray, rows: np.ndarray) -> "Survey":
        width = _coarse(images, as_points(np.asarray(images[:1]))).shape[1]
        pool = np.empty((len(images), width), np.float32)
        for start in range(0, len(images), ROWS):
            pool[start:start + ROWS] = _coarse(images, as_points(images[start:start + ROWS]))
        return cls(images, pool, rows, as_points(np.asarray(images[rows])))

    def __len__(self) -> int:
        return len(self.images)

    def searched(self, points: np.ndarray) -> np.ndarray:
        return _coarse(self.images, points)

    def points_of(self, index: np.ndarray) -> np.ndarray:
        return as_points(np.asarray(self.images[index]))

    def nearest_of(self, index: np.ndarray) -> np.ndarray:
        return self._distances(index)[:, 0]

    def local_of(self, index: np.ndarray) -> np.ndarray:
        return np.asarray(self._distances(index).mean(1))

    def _distances(self, index: np.ndarray) -> np.ndarray:
        """The distances of these rows to their LOCAL_NEIGHBOURS nearest others of the sample, nearest first.

        float64 (n, LOCAL_NEIGHBOURS). A row of the sample is not its own neighbour.
        """
        rows, inverse = np.unique(index, return_inverse=True)
        squares, found = nearest(self.points_of(rows), self.points, min(LOCAL_NEIGHBOURS + 1, len(self.rows)))
        squares[self.rows[found] == rows[:, None]] = np.inf
        return np.sqrt(np.sort(squares, axis=1)[:, :-1])[inverse]


Training = TrainingPoints | Survey


@dataclass(frozen=True)
class Nearest:
    """The nearest training picture of each sample: index int64 (n,), Euclidean distance float64 (n,)."""

    index: np.ndarray
    distance: np.ndarray

    def relative_distance(self, training: Training) -> np.ndarray:
        """The distance divided by `local` of the training picture: float64 (n,). 0 is an exact copy."""
        local = training.local_of(self.index)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.distance == 0, 0.0, self.distance / local)


def find_nearest(samples: np.ndarray, training: TrainingPoints) -> Nearest:
    """The nearest training point of each of samples (n, d); of equally near ones the first."""
    squares, index = nearest(samples, training.points, 1)
    return Nearest(index[:, 0], np.sqrt(squares[:, 0]))


def find_nearest_augmented(images: np.ndarray, training: Training) -> Nearest:
    """The nearest training picture of each image over all augmentations: mirrored or not, shifted by up to
    MAX_SHIFT pixels.

    images: uint8 (n, C, H, W). training: of `as_points` of the training pictures, or a survey of
    them.
    """
    best = np.full(len(images), np.inf, np.float32)
    index, distance = np.zeros(len(images), np.int64), np.full(len(images), np.inf)
    searched, compared = itertools.tee(as_points_augmented(images))
    found = pairs.current().nearest_roughly(map(training.searched, searched), training.pool)
    for points, (candidate, square) in zip(compared, found, strict=True):
        # A coarse copy cannot tell which of two augmentations is nearer.
        nearer = np.arange(len(images)) if isinstance(training, Survey) else np.flatnonzero(square < best)
        # The matrix product is inaccurate for small distances, so they are computed from the difference.
        difference = points[nearer].astype(np.float64) - training.points_of(candidate[nearer])
        exact = np.linalg.norm(difference, axis=1)
        if isinstance(training, Survey):
            nearer, exact = nearer[exact < distance], exact[exact < distance]
        best[nearer], index[nearer], distance[nearer] = square[nearer], candidate[nearer], exact
    return Nearest(index, distance)


def as_points(images: np.ndarray) -> np.ndarray:
    """uint8 (n, C, H, W) -> float32 (n, C h w) in [0, 1], averaged down to MAX_SIDE a side, without MAX_SHIFT
    pixels of edge.

    A copy that is shifted by up to MAX_SHIFT pixels still has all of these pixels, whatever fills its edge.
    """
    return _window(_reduced(images), 0, 0)


def as_points_augmented(images: np.ndarray) -> Iterator[np.ndarray]:
    """`as_points` of each augmentation in turn, the unchanged pictures first."""
    reduced = _reduced(images)
    shifts = sorted(range(-MAX_SHIFT, MAX_SHIFT + 1), key=abs)
    for candidate in (reduced, reduced[..., ::-1]):
        for rows in shifts:
            for columns in shifts:
                yield _window(candidate, rows, columns)


def authenticity(samples: Nearest, training: Training) -> np.ndarray:
    """Which samples are authentic (Alaa et al. 2022, section 4.3), bool (n,); the metric is the mean.

    A sample is authentic if it is farther from its nearest training picture than that is from its own nearest
    other one. The mean is about one half for real pictures if the data fill all dimensions.
    """
    return samples.distance > training.nearest_of(samples.index)


def cells(training: Training, rng: np.random.Generator, count: int = CELLS) -> np.ndarray:
    """Centres of the cells of C_T by k-means of the training points, of a survey's sample: float64 (at most
    count, d).
    """
    count = min(count, len(training.points))
    return np.asarray(vq.kmeans2(training.points.astype(np.float64), count, minit="++", missing="warn",
                                 rng=rng)[0])


def cell_of(samples: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """The cell of each of samples (n, d): int64 (n,)."""
    return np.asarray(vq.vq(samples.astype(np.float64), centres)[0], dtype=np.int64)


def mann_whitney_z(real: np.ndarray, generated: np.ndarray) -> float:
    """Standardised Mann-Whitney U of generated over real distances (Meehan et al. 2020, eq. 2); below 0 if
    generated are nearer.
    """
    n, m = len(real), len(generated)
    u = n * float((1 - _share_above(np.sort(real), generated)).sum())
    return (u - n * m / 2) / float(np.sqrt(n * m * (n + m + 1) / 12))


def c_t(real: np.ndarray, real_cells: np.ndarray, generated: np.ndarray,
        generated_cells: np.ndarray) -> float:
    """C_T (Meehan et al. 2020, eq. 3): the mean over cells of Z(U), weighted by the share of real pictures
    there.

    real, generated: distances to the nearest training point (n,), (m,). real_cells, generated_cells: the cell
    of each. Here the nearest point may be in another cell, unlike in the paper, so that a copy near the
    border of a cell is detected.

    Far below 0: copies. Far above 0: farther from the training pictures than real ones. If the distances have
    the same distribution, each Z(U) has standard deviation 1 and their mean about 1 / sqrt(CELLS) = 0.45.
    Raises ValueError if no cell has enough of both.
    """
    total, weights = 0.0, 0.0
    for cell in np.unique(real_cells):
        real_here, generated_here = real[real_cells == cell], generated[generated_cells == cell]
        if min(len(real_here), len(generated_here)) >= MIN_CELL:
            total += len(real_here) * mann_whitney_z(real_here, generated_here)
            weights += len(real_here)
    if weights == 0:
        raise ValueError(f"no cell has {MIN_CELL} real and {MIN_CELL} generated pictures; C_T needs more")
    return total / weights


def closer_than_real(generated: np.ndarray, real: np.ndarray, confidence: float = 0.95) -> dict[str, float]:
    """Probability that a sample is nearer to a training picture than a test picture is; ties count half.

    generated (n,), real (m,): distances to the nearest training picture, two or more each. About one half for
    real pictures, 1 for copies. The interval is normal, by DeLong et al. 1988.
    """
    if min(len(generated), len(real)) < 2:
        raise ValueError("at least 2 distances of real and of generated pictures are needed")
    real_above = _share_above(np.sort(real), generated)
    generated_below = 1 - _share_above(np.sort(generated), real)
    value = float(real_above.mean())
    error = np.sqrt(real_above.var(ddof=1) / len(generated) + generated_below.var(ddof=1) / len(real))
    half_width = float(special.ndtri((1 + confidence) / 2) * error)
    return {"value": value, "low": max(0.0, value - half_width), "high": min(1.0, value + half_width)}


def _share_above(ordered: np.ndarray, values: np.ndarray) -> np.ndarray:
    """For each value the share of `ordered` above it; ties count half."""
    left, right = np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")
    return np.asarray(1 - (left + right) / (2 * len(ordered)))


def _reduced(images: np.ndarray) -> np.ndarray:
    """uint8 (n, C, H, W) -> float32 (n, C, h, w) in [0, 1], averaged down to at most MAX_SIDE a side."""
    count, channels, height, width = images.shape
    factor = max(1, -(-max(height, width) // MAX_SIDE))
    images = images[:, :, :height // factor * factor, :width // factor * factor]
    split = images.reshape(count, channels, height // factor, factor, width // factor, factor)
    return np.asarray(split.mean((3, 5), dtype=np.float32) / np.float32(255))


def _coarse(images: np.ndarray, points: np.ndarray) -> np.ndarray:
    """`as_points` of pictures like `images`, averaged down to at most COARSE a side: float32 (n, k)."""
    channels = images.shape[1]
    height, width = (_side(side, max(images.shape[2:])) for side in images.shape[2:])
    factor = -(-max(height, width) // COARSE)
    inside = points.reshape(-1, channels, height, width)[:, :, :height // factor * factor,
                                                         :width // factor * factor]
    split = inside.reshape(-1, channels, height // factor, factor, width // factor, factor)
    return np.ascontiguousarray(split.mean((3, 5)).reshape(len(points), -1))


def _side(side: int, longest: int) -> int:
    """Pixels of a side in `as_points`."""
    return side // max(1, -(-longest // MAX_SIDE)) - 2 * MAX_SHIFT


def _window(images: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """(n, C, h, w) shifted down and right by at most MAX_SHIFT pixels, without MAX_SHIFT pixels of each edge:
    (n, d).
    """
    height, width = images.shape[2:]
    inside = images[:, :, MAX_SHIFT - rows:height - MAX_SHIFT - rows,
                    MAX_SHIFT - columns:width - MAX_SHIFT - columns]
    return np.ascontiguousarray(inside.reshape(len(images), -1))
