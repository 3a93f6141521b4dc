"""Mode collapse: missing classes, and duplicates among samples."""

import numpy as np

from aigc.core.config import FEWEST_CLASSES
from aigc.metrics import collapse, memorization
from aigc.metrics.intervals import rounded
from aigc.metrics.neighbours import nearest


def duplicate_radius(test: np.ndarray, near_duplicate: float) -> float:
    """The distance below which two samples are duplicates: the quantile `near_duplicate` of nearest-neighbour
    distances.

    test: real test pictures, uint8 (n, C, H, W). Distances are between `memorization.as_points`.
    """
    points = memorization.as_points(test)
    return rounded(float(np.quantile(np.sqrt(nearest(points, points, 1, same=True)[0]), near_duplicate)))


def measure(images: np.ndarray, predicted: np.ndarray, classes: int, radius: float) -> dict[str,
                                                                                            dict[str, float]]:
    """The numbers of samples, uint8 (n, C, H, W), with predicted classes int (n,). Duplicates are nearer than
    `radius`.

    There are no intervals: whether a sample has a duplicate depends on the other samples.
    """
    pairs, _ = collapse.duplicates(memorization.as_points(images), radius)
    has_duplicate = np.zeros(len(images), dtype=bool)
    has_duplicate[pairs] = True
    numbers = {"duplicates": {"value": rounded(float(has_duplicate.mean()))},
               "support": {"value": rounded(collapse.support_size(len(pairs), len(images)))}}
    if classes >= FEWEST_CLASSES:
        numbers["classes_covered"] = {"value": rounded(collapse.classes_covered(predicted, classes))}
        numbers["class_entropy"] = {"value": rounded(collapse.class_entropy(predicted, classes))}
    return numbers
