"""Doubtful labels: what is named is what the probabilities say, least likely first."""

import numpy as np

from aigc.metrics.outliers import outliers


def test_rows_with_an_unlikely_label_are_named_least_likely_first() -> None:
    shares = np.array([[0.98, 0.01, 0.01], [0.004, 0.995, 0.001], [0.5, 0.3, 0.2], [0.001, 0.0, 0.999]])
    with np.errstate(divide="ignore"):
        rows, confidence = outliers(np.maximum(np.log(shares), -50) + 7, np.array([0, 0, 1, 1]), 0.01)
    assert rows.tolist() == [3, 1]
    np.testing.assert_allclose(confidence, [0.0, 0.004], atol=1e-12)


def test_the_likeliest_class_is_never_doubted() -> None:
    logits = np.zeros((4, 1000))
    logits[:, 0] = 1e-3
    assert len(outliers(logits, np.zeros(4, int), 0.01)[0]) == 0
    assert len(outliers(logits, np.ones(4, int), 0.01)[0]) == 4
