"""The real side of every metric, computed once from the features of real pictures."""

from dataclasses import dataclass

import numpy as np

from aigc.metrics import frechet, neighbours
from aigc.metrics.frechet import Gaussian
from aigc.metrics.neighbours import Balls


@dataclass(frozen=True)
class MetricSettings:
    """n: pictures a side. fid_infinity_seed: of its subsets. The ks: of precision and recall, of density and coverage."""

    n: int
    fid_infinity_seed: int
    precision_neighbours: int
    coverage_neighbours: int


@dataclass(frozen=True)
class RealSide:
    """features: float64 (n, d). close: balls for precision. wide: balls for density and coverage."""

    features: np.ndarray
    gaussian: Gaussian
    close: Balls
    wide: Balls

    @classmethod
    def of(cls, features: np.ndarray, settings: MetricSettings) -> "RealSide":
        """From features (n, d) of any float type."""
        features = features.astype(np.float64)
        close, wide = (neighbours.balls(features, k)
                       for k in (settings.precision_neighbours, settings.coverage_neighbours))
        return cls(features, frechet.fit(features), close, wide)

    def arrays(self) -> dict[str, np.ndarray]:
        """What `from_arrays` needs to make the same again, by name."""
        return {"features": self.features, "mean": self.gaussian.mean, "root": self.gaussian.root,
                "close_radii": self.close.squared_radii, "wide_radii": self.wide.squared_radii}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray], settings: MetricSettings) -> "RealSide":
        """The inverse of `arrays`."""
        features = arrays["features"]
        return cls(features, Gaussian(arrays["mean"], arrays["root"]),
                   Balls(features, arrays["close_radii"], settings.precision_neighbours),
                   Balls(features, arrays["wide_radii"], settings.coverage_neighbours))
