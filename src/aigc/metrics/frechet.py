"""The Fréchet distance between two Gaussians fitted to features (FID, Heusel et al. 2017), and its limit for
n → ∞.

    d^2 = |mu_x - mu_y|^2 + tr(S_x) + tr(S_y) - 2 tr((S_x S_y)^(1/2))

The last trace is the nuclear norm of A_x A_y^T, for any A with A^T A = S. So no matrix square root is needed,
the result is never complex, and it is exact for singular covariances.
"""

from dataclasses import dataclass

import numpy as np
from scipy import linalg
from scipy.linalg import blas

from aigc.metrics.arrays import as_features

SMALLEST_PIVOT = 1e-5    # of the largest; below it, Cholesky on the covariance is too inaccurate
TOLERANCE = 1e-9         # of the traces; above this error, singular values replace eigenvalues
POINTS = 15              # sample sizes of the extrapolation, as in the program of Chong & Forsyth
SMALLEST_SHARE = 0.1     # the smallest of these sizes, as a share of the samples; as there


@dataclass(frozen=True)
class Gaussian:
    """mean: float64 (d,). root: float64 (r, d), where root^T root is the covariance (normalised by n - 1)."""

    mean: np.ndarray
    root: np.ndarray

    @property
    def variance(self) -> float:
        """The trace of the covariance."""
        return float(np.square(self.root).sum())


def fit(samples: np.ndarray) -> Gaussian:
    """The Gaussian of samples (n, d), n >= 2. Raises ValueError when they are too few or not finite."""
    samples = as_features(samples, at_least=2)
    mean = samples.mean(0)
    centred = samples - mean
    centred /= np.sqrt(len(samples) - 1)
    if len(centred) <= centred.shape[1]:
        return Gaussian(mean, centred)
    root = _cholesky(centred)
    if root is None:
        root = linalg.qr(centred, mode="r", overwrite_a=True, check_finite=False)[0][:centred.shape[1]]
    return Gaussian(mean, root)


def _cholesky(centred: np.ndarray) -> np.ndarray | None:
    """The upper triangular root of centred^T centred, or None if that is too close to singular."""
    upper, failed = linalg.lapack.dpotrf(blas.dsyrk(1.0, centred.T), overwrite_a=True)
    pivots = np.diag(upper)
    return None if failed or pivots.min() < SMALLEST_PIVOT * pivots.max() else upper


def distance(x: Gaussian, y: Gaussian) -> float:
    """The squared Fréchet distance between two Gaussians; 0 or more. ValueError if dimensions differ."""
    if len(x.mean) != len(y.mean):
        raise ValueError(f"features of {len(x.mean)} and of {len(y.mean)} columns cannot be compared")
    total = x.variance + y.variance
    return max(0.0, float(np.square(x.mean - y.mean).sum()
                          + total - 2 * nuclear_norm(x.root, y.root, TOLERANCE * total)))


def nuclear_norm(x: np.ndarray, y: np.ndarray, tolerance: float) -> float:
    """The nuclear norm of x y^T: the sum of the singular values.

    Computed from the eigenvalues of its square if their error is below `tolerance`. Else from a singular
    value decomposition, which takes three times as long. The error of an eigenvalue is about eps times the
    largest one. The error of its root is that divided by twice the root, and at most the root itself.
    """
    product = x @ y.T
    product = product if len(product) <= len(product.T) else product.T
    eigenvalues = linalg.eigvalsh(product @ product.T, overwrite_a=True, check_finite=False)
    error = np.finfo(np.float64).eps * max(eigenvalues[-1], 0.0)
    roots = np.sqrt(np.maximum(eigenvalues, error))
    if error == 0 or (error / roots).sum() <= tolerance:
        return float(roots.sum())
    return float(linalg.svdvals(product, check_finite=False).sum())


def fid(real: np.ndarray, generated: np.ndarray) -> float:
    """FID between features (n, d) and (m, d). It falls with the number of samples."""
    return distance(fit(real), fit(generated))


def fid_infinity(real: Gaussian, generated: np.ndarray, seed: int) -> float:
    """FID for n → ∞ generated samples (Chong & Forsyth 2020): the intercept of a line fitted to FID over 1/n.

    generated: (n, d), 20 samples or more. Each point of the line is a subset drawn without replacement by
    `seed`. The result may be below 0. The bias that comes from the number of real samples is not removed, as
    in the paper.
    """
    generated = as_features(generated, at_least=20)
    rng = np.random.default_rng(seed)
    sizes = np.linspace(SMALLEST_SHARE * len(generated), len(generated), POINTS).astype(int)
    values = [distance(real, fit(generated[np.sort(rng.permutation(len(generated))[:size])]))
              for size in sizes]
    return float(np.polyfit(1 / sizes, values, 1)[1])
