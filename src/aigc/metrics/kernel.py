"""The kernel distance KID (Binkowski et al. 2018): the squared MMD between features, unbiased, with its
standard error.

    MMD^2 = E k(x, x') + E k(y, y') - 2 E k(x, y),   k(x, y) = (x.y / d + 1)^3

All pairs are used, in blocks of rows. The expectation does not depend on the sample size. Other programs
print the standard deviation over random subsets: that of a smaller estimate, which is not the standard error
of this one.
"""

from dataclasses import dataclass

import numpy as np

from aigc.metrics import pairs
from aigc.metrics.arrays import as_features


@dataclass(frozen=True)
class Kid:
    """value: the unbiased estimate; it may be below 0. standard_error: over generated samples, given these
    real ones.

    standard_error_of_both: over real samples too. Both are from the jackknife (Arvesen 1969). It is exact for
    the linear part of a U-statistic and too large for the rest.
    """

    value: float
    standard_error: float
    standard_error_of_both: float


def kid(real: np.ndarray, generated: np.ndarray) -> Kid:
    """KID between features (n, d) and (m, d), three samples or more each. Raises ValueError if they are not.
    """
    real, generated = as_features(real, at_least=3), as_features(generated, at_least=3)
    if real.shape[1] != generated.shape[1]:
        raise ValueError(f"real features have {real.shape[1]} columns, generated {generated.shape[1]}")
    real_rows, generated_rows = sums_within(real), sums_within(generated)
    real_across, generated_across = sums_across(real, generated)
    value = _mean_within(real_rows) + _mean_within(generated_rows) - 2 * generated_across.mean() / len(real)
    over_generated = _jackknife_variance(generated_rows, generated_across / len(real))
    over_real = _jackknife_variance(real_rows, real_across / len(generated))
    return Kid(float(value), float(np.sqrt(over_generated)), float(np.sqrt(over_generated + over_real)))


def sums_within(samples: np.ndarray) -> np.ndarray:
    """For each sample the sum of the kernel with all other samples of its set: float64 (n,)."""
    return pairs.current().kernel_sums(samples, samples, same=True)[0]


def sums_across(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each x the sum of the kernel with all y, and the reverse: float64 (n,), (m,)."""
    return pairs.current().kernel_sums(x, y, same=False)


def _mean_within(sums: np.ndarray) -> float:
    return float(sums.mean() / (len(sums) - 1))


def _jackknife_variance(sums: np.ndarray, cross: np.ndarray) -> float:
    """The jackknife variance of (mean over pairs - 2 mean(cross)): each sample is left out in turn."""
    n = len(sums)
    without = (sums.sum() - 2 * sums) / ((n - 1) * (n - 2)) - 2 * (cross.sum() - cross) / (n - 1)
    return float((n - 1) / n * np.square(without - without.mean()).sum())
