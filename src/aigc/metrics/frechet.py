"""The Fréchet distance between two Gaussians fitted to features (Heusel et al. 2017, FID).

    d^2 = |mu_x - mu_y|^2 + tr(S_x) + tr(S_y) - 2 tr((S_x S_y)^(1/2))

The last trace is the nuclear norm of A_x A_y^T for any A with A^T A = S: no matrix square root, never complex, and
exact for singular covariances.
"""

from dataclasses import dataclass

import numpy as np
from scipy import linalg

from aigc.metrics.checks import features


@dataclass(frozen=True)
class Gaussian:
    """mean: float64 (d,). root: float64 (r, d) with root^T root = the covariance (normalised by n - 1)."""

    mean: np.ndarray
    root: np.ndarray

    @property
    def variance(self) -> float:
        """The trace of the covariance."""
        return float(np.square(self.root).sum())


def fit(samples: np.ndarray) -> Gaussian:
    """The Gaussian of samples (n, d), n >= 2. Raises ValueError when they are too few or not finite."""
    samples = features(samples, at_least=2)
    mean = samples.mean(0)
    root = (samples - mean) / np.sqrt(len(samples) - 1)
    if len(root) > root.shape[1]:
        root = linalg.qr(root, mode="r", overwrite_a=True, check_finite=False)[0][:root.shape[1]]
    return Gaussian(mean, root)


def distance(x: Gaussian, y: Gaussian) -> float:
    """The squared Fréchet distance between two Gaussians; 0 or more."""
    overlap = linalg.svdvals(x.root @ y.root.T, check_finite=False).sum()
    return max(0.0, float(np.square(x.mean - y.mean).sum() + x.variance + y.variance - 2 * overlap))


def fid(real: np.ndarray, generated: np.ndarray) -> float:
    """FID between features (n, d) and (m, d). It falls with the sample size: compare at equal sizes only."""
    return distance(fit(real), fit(generated))
