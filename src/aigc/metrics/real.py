"""What the metrics need of real pictures, computed once: their features, and the statistics of these."""

from dataclasses import dataclass

import numpy as np

from aigc.metrics import frechet, neighbours
from aigc.metrics.frechet import Gaussian
from aigc.metrics.neighbours import KnnBalls


@dataclass(frozen=True)
class MetricSettings:
    """n: sample size, of real and of generated pictures. fid_infinity_seed: of its subsets.

    precision_neighbours: k of precision and recall. coverage_neighbours: k of density and coverage.
    """

    n: int
    fid_infinity_seed: int
    precision_neighbours: int
    coverage_neighbours: int


@dataclass(frozen=True)
class RealStatistics:
    """features: float64 (n, d). precision_balls: for precision. coverage_balls: for density and coverage."""

    features: np.ndarray
    gaussian: Gaussian
    precision_balls: KnnBalls
    coverage_balls: KnnBalls

    @classmethod
    def of(cls, features: np.ndarray, settings: MetricSettings) -> "RealStatistics":
        """Of features (n, d) of any float type."""
        features = features.astype(np.float64)
        return cls(features, frechet.fit(features),
                   neighbours.knn_balls(features, settings.precision_neighbours),
                   neighbours.knn_balls(features, settings.coverage_neighbours))

    def arrays(self) -> dict[str, np.ndarray]:
        """All parts by name. `from_arrays` is the inverse."""
        return {"features": self.features, "mean": self.gaussian.mean, "root": self.gaussian.root,
                "close_radii": self.precision_balls.squared_radii,
                "wide_radii": self.coverage_balls.squared_radii}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray], settings: MetricSettings) -> "RealStatistics":
        """The inverse of `arrays`."""
        features = arrays["features"]
        return cls(features, Gaussian(arrays["mean"], arrays["root"]),
                   KnnBalls(features, arrays["close_radii"], settings.precision_neighbours),
                   KnnBalls(features, arrays["wide_radii"], settings.coverage_neighbours))
