"""Values with 95% intervals, and rounding.

An interval is for the expectation of a metric at n samples, for fixed real pictures. Numbers are rounded so
that the last bit of a float does not change a file. There is no bootstrap: samples that are drawn twice raise
FID and change every nearest neighbour. Instead:

    FID, FID-infinity, IS, recall, coverage
                                Student's t over disjoint blocks of n samples, which are independent
    FID, IS, below four blocks  the jackknife over groups of samples: Student's factor is large for few
                                blocks, and the jackknife suits smooth metrics
    the others, one block       none: they are not smooth, and in simulation the jackknife's interval is
                                too wide by half
    KID                         the jackknife over all samples; its expectation does not depend on n
    precision                   Wilson's (1927), since it is a share of independent samples
    density                     Student's t, since it is a mean over independent samples
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from scipy import special  # not scipy.stats: its import takes longer than most stages

CONFIDENCE = 0.95
GROUPS = 20  # of the jackknife
FEW_BLOCKS = 4  # below it, smooth metrics use the jackknife
SIGNIFICANT = 6  # digits
NEAR_ZERO = 1e-9

Metric = Callable[[np.ndarray], float]
Number = dict[str, float]


def rounded(value: float) -> float:
    """Six significant digits. A value below 1e-9 in size is zero."""
    return 0.0 if abs(value) < NEAR_ZERO else float(f"{value:.{SIGNIFICANT}g}")


def all_rounded(number: Number) -> Number:
    """`rounded` for each part of a number (value, low, high)."""
    return {part: rounded(value) for part, value in number.items()}


def over_blocks(metric: Metric, samples: np.ndarray, size: int, smooth: bool = False,
                within: tuple[float, float] = (-math.inf, math.inf)) -> Number:
    """The mean of `metric` over disjoint blocks of `size` samples, with an interval for its expectation.

    smooth: whether the jackknife may give the interval if there are few blocks; else Student's t over the
    blocks gives it.
    within: the range of the metric; the interval is clipped to it. Returns value, low and high; value alone
    if there is one block or all blocks are equal. Raises ValueError below one block.
    """
    count = len(samples) // size
    if count == 0:
        raise ValueError(f"{len(samples)} samples are fewer than one block of {size}")
    blocks = [samples[start * size:(start + 1) * size] for start in range(count)]
    values = [metric(block) for block in blocks]
    if smooth and count < FEW_BLOCKS:
        variance = sum(jackknife_variance(metric, block) for block in blocks) / count**2
        number = from_standard_error(float(np.mean(values)), math.sqrt(variance), count * (GROUPS - 1))
    else:
        number = of_mean(values)
    return {part: float(np.clip(value, *within)) for part, value in number.items()}


def jackknife_variance(metric: Metric, samples: np.ndarray) -> float:
    """The variance of `metric` from leaving out each of GROUPS groups in turn (Quenouille 1956, Tukey 1958).

    Groups are drawn at random with a fixed seed, because every 20th sample may be of the same class.
    """
    group = np.random.default_rng(GROUPS).permutation(len(samples)) % GROUPS
    without = np.array([metric(samples[group != left_out]) for left_out in range(GROUPS)])
    return float((GROUPS - 1) / GROUPS * np.square(without - without.mean()).sum())


def of_mean(values: Sequence[float] | np.ndarray) -> Number:
    """The mean of independent values, with Student's interval; without one if all are equal."""
    if np.ptp(values) == 0:
        return {"value": rounded(float(np.mean(values)))}
    return from_standard_error(float(np.mean(values)),
                               float(np.std(values, ddof=1)) / math.sqrt(len(values)), len(values) - 1)


def from_standard_error(value: float, standard_error: float, freedom: float = math.inf) -> Number:
    """A value with its interval by Student's t of `freedom` degrees of freedom."""
    half_width = float(special.stdtrit(freedom, (1 + CONFIDENCE) / 2)) * standard_error
    return all_rounded({"value": value, "low": value - half_width, "high": value + half_width})


def of_share(hits: np.ndarray, method: Literal["wilson", "exact"] = "wilson") -> Number:
    """The share of True in hits, bool (n,), n >= 1, with Wilson's interval or the exact one (Clopper &
    Pearson 1934).

    The exact interval is wider: it covers at least 95%, for shares near 0 and 1 too. Raises ValueError if n
    is 0.
    """
    if len(hits) == 0:
        raise ValueError("a share of no samples is not defined")
    low, high = (_wilson if method == "wilson" else _exact)(int(hits.sum()), len(hits))
    return all_rounded({"value": float(hits.mean()), "low": low, "high": high})


def _wilson(hits: int, count: int) -> tuple[float, float]:
    squared = float(special.ndtri((1 + CONFIDENCE) / 2)) ** 2
    centre, half_width = hits + squared / 2, math.sqrt(squared * (hits * (count - hits) / count + squared
                                                                  / 4))
    return max(0.0, (centre - half_width) / (count + squared)), min(1.0,
                                                                    (centre + half_width) / (count + squared))


def _exact(hits: int, count: int) -> tuple[float, float]:
    tail, misses = (1 - CONFIDENCE) / 2, count - hits
    return (float(special.betaincinv(hits, misses + 1, tail)) if hits else 0.0,
            float(special.betaincinv(hits + 1, misses, 1 - tail)) if misses else 1.0)


def flat(numbers: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Nested numbers under the names that they have in MLflow. Entries without a `value` are left out, and
    non-numbers too.

    {"fid": {"value": 9, "low": 8}, "own": {"elbo": {"value": -1}}} -> {"fid": 9, "fid_low": 8, "own/elbo":
    -1}
    """
    metrics: dict[str, float] = {}
    for name, inner in numbers.items():
        if isinstance(inner, dict) and "value" in inner:
            parts = {part: float(value) for part, value in inner.items() if isinstance(value, int | float)}
            metrics |= {f"{prefix}{name}" if part == "value" else f"{prefix}{name}_{part}": value
                        for part, value in parts.items()}
        elif isinstance(inner, dict):
            metrics |= flat(inner, f"{prefix}{name}/")
    return metrics
