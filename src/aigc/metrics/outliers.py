"""Pictures that may bear the wrong label, told by a classifier's confidence (after Northcutt et al. 2021)."""

import numpy as np
from scipy.special import log_softmax


def outliers(logits: np.ndarray, labels: np.ndarray, most: float) -> tuple[np.ndarray, np.ndarray]:
    """The rows whose own label has a probability of at most `most` while another is the likeliest, least probable first; and these
    probabilities.

    logits (n, classes); labels int (n,) in [0, classes). Of what the classifier learned from it finds fewer: it may have
    learned the wrong label too.
    """
    own = np.exp(log_softmax(logits.astype(np.float64), axis=1)[np.arange(len(labels)), labels])
    rows = np.flatnonzero((own <= most) & (logits.argmax(1) != labels))
    order = np.argsort(own[rows], kind="stable")
    return rows[order], own[rows][order]
