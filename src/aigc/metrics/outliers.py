"""Pictures that may have the wrong label, by the confidence of a classifier (after Northcutt et al. 2021)."""

import numpy as np
from scipy.special import log_softmax


def outliers(logits: np.ndarray, labels: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """The rows whose label has a probability of at most `threshold` while another class is predicted, and
    these probabilities.

    logits (n, classes); labels int (n,) in [0, classes). The least probable rows come first. Fewer wrong
    labels are found in the classifier's own training pictures: it may have learned the wrong label.
    """
    own = np.exp(log_softmax(logits.astype(np.float64), axis=1)[np.arange(len(labels)), labels])
    rows = np.flatnonzero((own <= threshold) & (logits.argmax(1) != labels))
    order = np.argsort(own[rows], kind="stable")
    return rows[order], own[rows][order]
