"""The Inception Score (Salimans et al. 2016): exp E_x KL(p(y|x) || p(y)), from 1 to the classes' number."""

from itertools import pairwise

import numpy as np
from scipy.special import log_softmax, logsumexp

from aigc.metrics.arrays import as_features


def inception_score(logits: np.ndarray) -> float:
    """IS of class logits (n, classes)."""
    conditional = log_softmax(as_features(logits, at_least=1), axis=1)
    marginal = logsumexp(conditional, axis=0) - np.log(len(conditional))
    return float(np.exp((np.exp(conditional) * (conditional - marginal)).sum(1).mean()))


def over_splits(logits: np.ndarray, splits: int = 10) -> np.ndarray:
    """IS of each of `splits` equal parts of logits (n, classes): float64 (splits,). Published with ten."""
    logits = as_features(logits, at_least=splits)
    edges = np.arange(splits + 1) * len(logits) // splits
    return np.array([inception_score(logits[start:stop]) for start, stop in pairwise(edges)])
