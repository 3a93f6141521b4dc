"""Values with 95% intervals for a metric's expectation at n samples, the real side given; and numbers rounded so that
the last ulp does not decide about a lock.

No samples are drawn twice: a bootstrap's duplicates raise FID and move every neighbour. Which interval is whose:

    FID, FID-infinity, IS, recall, coverage
                                Student's over disjoint blocks of n samples, which are independent whatever the metric is
    FID, IS, below four blocks  the jackknife over groups of each block: Student's factor is large there, and they are smooth
    the others, one block       none: neighbours are not smooth, the jackknife's interval is too wide by half (by simulation)
    KID                         the jackknife over all samples; its expectation does not depend on n
    precision                   Wilson's (1927), since it is a share of independent samples
    density                     Student's, since it is a mean over independent samples
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
from scipy import special  # not stats, which takes longer to import than most stages compute

CONFIDENCE = 0.95
GROUPS = 20
FEW_BLOCKS = 4
SIGNIFICANT = 6
NEAR_ZERO = 1e-9

Metric = Callable[[np.ndarray], float]
Number = dict[str, float]


def rounded(value: float) -> float:
    """Six significant digits; what is within 1e-9 of zero is zero."""
    return 0.0 if abs(value) < NEAR_ZERO else float(f"{value:.{SIGNIFICANT}g}")


def all_rounded(number: Number) -> Number:
    """Each part of a number, rounded."""
    return {part: rounded(value) for part, value in number.items()}


def over_blocks(metric: Metric, samples: np.ndarray, size: int, smooth: bool = False,
                within: tuple[float, float] = (-math.inf, math.inf)) -> Number:
    """`metric`, whose values lie `within`, at sample size `size`: its mean over disjoint blocks, with an interval for its expectation.

    Student's over the blocks; the jackknife's where they are few and the metric is `smooth`; none for a single block
    otherwise, or where all blocks give the same. Returns value and, with an interval, low and high. Raises ValueError below one block.
    """
    count = len(samples) // size
    if count == 0:
        raise ValueError(f"{len(samples)} samples are fewer than one block of {size}")
    blocks = [samples[start * size:(start + 1) * size] for start in range(count)]
    values = [metric(block) for block in blocks]
    if smooth and count < FEW_BLOCKS:
        variance = sum(jackknife_variance(metric, block) for block in blocks) / count**2
        found = of_error(float(np.mean(values)), math.sqrt(variance), count * (GROUPS - 1))
    else:
        found = of_mean(values)
    return {part: float(np.clip(value, *within)) for part, value in found.items()}


def jackknife_variance(metric: Metric, samples: np.ndarray) -> float:
    """The variance of `metric` by leaving out each of GROUPS groups in turn (Quenouille 1956, Tukey 1958).

    Groups are drawn at random, by a fixed seed: every 20th sample may be of one class.
    """
    group = np.random.default_rng(GROUPS).permutation(len(samples)) % GROUPS
    without = np.array([metric(samples[group != left_out]) for left_out in range(GROUPS)])
    return float((GROUPS - 1) / GROUPS * np.square(without - without.mean()).sum())


def of_mean(values: Sequence[float] | np.ndarray) -> Number:
    """The mean of independent values and Student's interval for their expectation; values that do not differ have none."""
    if np.ptp(values) == 0:
        return {"value": rounded(float(np.mean(values)))}
    return of_error(float(np.mean(values)), float(np.std(values, ddof=1)) / math.sqrt(len(values)), len(values) - 1)


def of_error(value: float, error: float, freedom: float = math.inf) -> Number:
    """A value and the interval that its standard error gives, by Student's distribution of so many degrees of freedom."""
    reach = float(special.stdtrit(freedom, (1 + CONFIDENCE) / 2)) * error
    return all_rounded({"value": value, "low": value - reach, "high": value + reach})


def of_share(hits: np.ndarray, method: Literal["wilson", "exact"] = "wilson") -> Number:
    """The share of True among hits bool (n,), n >= 1, with Wilson's score interval or the exact one of Clopper & Pearson 1934.

    The exact one covers 95% at least, for shares near 0 and 1 too, and is wider. Raises ValueError on no samples.
    """
    if len(hits) == 0:
        raise ValueError("a share of no samples is not defined")
    low, high = (_wilson if method == "wilson" else _exact)(int(hits.sum()), len(hits))
    return all_rounded({"value": float(hits.mean()), "low": low, "high": high})


def _wilson(hits: int, count: int) -> tuple[float, float]:
    squared = float(special.ndtri((1 + CONFIDENCE) / 2)) ** 2
    centre, reach = hits + squared / 2, math.sqrt(squared * (hits * (count - hits) / count + squared / 4))
    return max(0.0, (centre - reach) / (count + squared)), min(1.0, (centre + reach) / (count + squared))


def _exact(hits: int, count: int) -> tuple[float, float]:
    tail, misses = (1 - CONFIDENCE) / 2, count - hits
    return (float(special.betaincinv(hits, misses + 1, tail)) if hits else 0.0,
            float(special.betaincinv(hits + 1, misses, 1 - tail)) if misses else 1.0)


def flat(numbers: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """{"fid": {"value": 9, "low": 8}, "own": {"elbo": {"value": -1}}} -> {"fid": 9, "fid_low": 8, "own/elbo": -1}, as MLflow hears it.

    What is no number is left out, and so is what has no `value`.
    """
    found: dict[str, float] = {}
    for name, inner in numbers.items():
        if isinstance(inner, dict) and "value" in inner:
            parts = {part: float(value) for part, value in inner.items() if isinstance(value, int | float)}
            found |= {f"{prefix}{name}" if part == "value" else f"{prefix}{name}_{part}": value for part, value in parts.items()}
        elif isinstance(inner, dict):
            found |= flat(inner, f"{prefix}{name}/")
    return found
