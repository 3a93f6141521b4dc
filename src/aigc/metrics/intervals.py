"""Values with 95% intervals for a metric's expectation at n samples, the real side given; and numbers rounded so that
the last ulp does not decide about a lock.

No samples are drawn twice: a bootstrap's duplicates raise FID and move every neighbour. Which interval is whose:

    FID, IS, recall, coverage   Student's over disjoint blocks of n samples, which are independent whatever the metric is
    FID, IS, one block only     the grouped jackknife, good for metrics that are smooth in the samples
    recall, coverage, one block none: neighbours are not smooth, the jackknife's interval is twice too wide (by simulation)
    KID                         the jackknife over all samples; its expectation does not depend on n
    precision                   Wilson's (1927), since it is a share of independent samples
    density                     Student's, since it is a mean over independent samples
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
GROUPS = 20
SIGNIFICANT = 6
NEAR_ZERO = 1e-9

Metric = Callable[[np.ndarray], float]
Number = dict[str, float]


def rounded(value: float) -> float:
    """Six significant digits; what is within 1e-9 of zero is zero."""
    return 0.0 if abs(value) < NEAR_ZERO else float(f"{value:.{SIGNIFICANT}g}")


def over_blocks(metric: Metric, samples: np.ndarray, size: int, smooth: bool = False) -> Number:
    """`metric` at sample size `size`: its mean over disjoint blocks, with Student's interval for its expectation.

    A single block gets the jackknife's interval where the metric is `smooth`, else none. Returns value and, with an
    interval, low and high. Raises ValueError below one block.
    """
    count = len(samples) // size
    if count == 0:
        raise ValueError(f"{len(samples)} samples are fewer than one block of {size}")
    if count == 1 and smooth:
        return by_jackknife(metric, samples[:size])
    return of_mean([metric(samples[start * size:(start + 1) * size]) for start in range(count)])


def by_jackknife(metric: Metric, samples: np.ndarray, groups: int = GROUPS) -> Number:
    """`metric` of all samples; its interval by leaving out every `groups`-th sample in turn (Quenouille 1956, Tukey 1958)."""
    group = np.arange(len(samples)) % groups
    without = np.array([metric(samples[group != left_out]) for left_out in range(groups)])
    error = math.sqrt((groups - 1) / groups * float(np.square(without - without.mean()).sum()))
    return of_error(metric(samples), error, groups - 1)


def of_mean(values: Sequence[float] | np.ndarray) -> Number:
    """The mean of independent values and Student's interval for their expectation; a single value has none."""
    if len(values) < 2:
        return {"value": rounded(float(np.mean(values)))}
    return of_error(float(np.mean(values)), float(np.std(values, ddof=1)) / math.sqrt(len(values)), len(values) - 1)


def of_error(value: float, error: float, freedom: float = math.inf) -> Number:
    """A value and the interval that its standard error gives, by Student's distribution of so many degrees of freedom."""
    reach = float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom)) * error
    return {"value": rounded(value), "low": rounded(value - reach), "high": rounded(value + reach)}


def of_share(hits: int, count: int) -> Number:
    """The share hits / count of independent trials, with Wilson's score interval."""
    found = stats.binomtest(hits, count).proportion_ci(CONFIDENCE, "wilson")
    return {"value": rounded(hits / count), "low": rounded(float(found.low)), "high": rounded(float(found.high))}
