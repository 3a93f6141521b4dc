"""The kernel distance KID (Binkowski et al. 2018): the squared MMD between features, unbiased, with its
standard error.

    MMD^2 = E k(x, x') + E k(y, y') - 2 E k(x, y),   k(x, y) = (x.y / d + 1)^3

All pairs are used, in blocks of rows. The expectation does not depend on the sample size. Other programs
print the standard deviation over random subsets: that of a smaller estimate, which is not the standard error
of this one.
"""

from dataclasses import dataclass

import numpy as np

from aigc.metrics.arrays import as_features, row_blocks


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
    sums = np.empty(len(samples))
    for rows in row_blocks(len(samples), len(samples)):
        block = _kernel(samples[rows], samples)
        block[np.arange(len(block)), np.arange(rows.start, rows.stop)] = 0
        sums[rows] = block.sum(1)
    return sums


def sums_across(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each x the sum of the kernel with all y, and the reverse: float64 (n,), (m,)."""
    of_x, of_y = np.empty(len(x)), np.zeros(len(y))
    for rows in row_blocks(len(x), len(y)):
        block = _kernel(x[rows], y)
        of_x[rows] = block.sum(1)
        of_y += block.sum(0)
    return of_x, of_y


def _kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    block = x @ y.T
    block /= x.shape[1]
    block += 1
    return block * block * block  # block ** 3 takes ten times as long


def _mean_within(sums: np.ndarray) -> float:
    return float(sums.mean() / (len(sums) - 1))


def _jackknife_variance(sums: np.ndarray, cross: np.ndarray) -> float:
    """The jackknife variance of (mean over pairs - 2 mean(cross)): each sample is left out in turn."""
    n = len(sums)
    without = (sums.sum() - 2 * sums) / ((n - 1) * (n - 2)) - 2 * (cross.sum() - cross) / (n - 1)
    return float((n - 1) / n * np.square(without - without.mean()).sum())
