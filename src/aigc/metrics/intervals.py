"""Values with their intervals, and numbers rounded so that the last ulp does not decide about a lock."""

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy import stats

SIGNIFICANT = 6
NEAR_ZERO = 1e-9


def rounded(value: float) -> float:
    """Six significant digits; what is within 1e-9 of zero is zero."""
    return 0.0 if abs(value) < NEAR_ZERO else float(f"{value:.{SIGNIFICANT}g}")


def over_blocks(metric: Callable[[np.ndarray], float], samples: np.ndarray, size: int,
                confidence: float = 0.95) -> dict[str, float]:
    """`metric` at sample size `size`: its mean over disjoint blocks, with Student's interval for its expectation.

    Disjoint blocks are independent and of full size, so that no block is biased by duplicates as a bootstrap's are.
    Returns value, low, high; with a single block low and high are missing. Raises ValueError below one block.
    """
    count = len(samples) // size
    if count == 0:
        raise ValueError(f"{len(samples)} samples are fewer than one block of {size}")
    values = [metric(samples[start * size:(start + 1) * size]) for start in range(count)]
    return of_mean(values, confidence)


def of_mean(values: Sequence[float], confidence: float = 0.95) -> dict[str, float]:
    """The mean of independent values and Student's interval for their expectation."""
    mean = float(np.mean(values))
    if len(values) < 2:
        return {"value": rounded(mean)}
    reach = float(stats.t.ppf((1 + confidence) / 2, len(values) - 1)) * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return {"value": rounded(mean), "low": rounded(mean - reach), "high": rounded(mean + reach)}
