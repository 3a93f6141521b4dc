"""The kernel distance KID (Binkowski et al. 2018): the squared MMD between features, unbiased, with its standard error.

    MMD^2 = E k(x, x') + E k(y, y') - 2 E k(x, y),   k(x, y) = (x.y / d + 1)^3

All pairs are used, a stretch of rows at a time; the expectation does not depend on the sample size. The spread over
random subsets that other programs print is the spread of a smaller estimate and no standard error of this one.
"""

from dataclasses import dataclass

import numpy as np

from aigc.metrics.checks import features
from aigc.metrics.chunks import stretches


@dataclass(frozen=True)
class Kid:
    """value: the unbiased estimate; it may fall below 0. standard_error: over generated samples, given these real ones.

    standard_error_of_both: over real samples too. Both by the jackknife (Arvesen 1969), which is exact for the linear
    part of a U-statistic and errs upwards on the rest.
    """

    value: float
    standard_error: float
    standard_error_of_both: float


def kid(real: np.ndarray, generated: np.ndarray) -> Kid:
    """KID between features (n, d) and (m, d), three samples or more each. Raises ValueError naming what is wrong with them."""
    real, generated = features(real, at_least=3), features(generated, at_least=3)
    if real.shape[1] != generated.shape[1]:
        raise ValueError(f"real features have {real.shape[1]} columns, generated {generated.shape[1]}")
    real_rows, generated_rows = within(real), within(generated)
    real_across, generated_across = across(real, generated)
    value = _mean_within(real_rows) + _mean_within(generated_rows) - 2 * generated_across.mean() / len(real)
    over_generated = _jackknife_variance(generated_rows, generated_across / len(real))
    over_real = _jackknife_variance(real_rows, real_across / len(generated))
    return Kid(float(value), float(np.sqrt(over_generated)), float(np.sqrt(over_generated + over_real)))


def within(samples: np.ndarray) -> np.ndarray:
    """For each sample the sum of its kernel with all others of its set: float64 (n,)."""
    sums = np.empty(len(samples))
    for rows in stretches(len(samples), len(samples)):
        block = _kernel(samples[rows], samples)
        block[np.arange(len(block)), np.arange(rows.start, rows.stop)] = 0
        sums[rows] = block.sum(1)
    return sums


def across(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each x the sum of its kernel with all y, and the reverse: float64 (n,), (m,)."""
    of_x, of_y = np.empty(len(x)), np.zeros(len(y))
    for rows in stretches(len(x), len(y)):
        block = _kernel(x[rows], y)
        of_x[rows] = block.sum(1)
        of_y += block.sum(0)
    return of_x, of_y


def _kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    block = x @ y.T
    block /= x.shape[1]
    block += 1
    return block * block * block  # a general power takes ten times as long


def _mean_within(sums: np.ndarray) -> float:
    return float(sums.mean() / (len(sums) - 1))


def _jackknife_variance(sums: np.ndarray, cross: np.ndarray) -> float:
    """Of mean over pairs - 2 mean(cross), leaving each sample out in turn."""
    n = len(sums)
    without = (sums.sum() - 2 * sums) / ((n - 1) * (n - 2)) - 2 * (cross.sum() - cross) / (n - 1)
    return float((n - 1) / n * np.square(without - without.mean()).sum())
