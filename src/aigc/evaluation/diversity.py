"""Mode collapse: classes that are missing, and pictures that occur twice."""

import numpy as np

from aigc.core.config import FEWEST_CLASSES
from aigc.metrics import collapse, memorization
from aigc.metrics.intervals import rounded
from aigc.metrics.neighbours import nearest


def radius(test: np.ndarray, near_duplicate: float) -> float:
    """The distance in pixels within which a share `near_duplicate` of real test pictures uint8 (n, C, H, W) has another."""
    points = memorization.as_points(test)
    return rounded(float(np.quantile(np.sqrt(nearest(points, points, 1, same=True)[0]), near_duplicate)))


def measure(images: np.ndarray, seen: np.ndarray, classes: int, within: float) -> dict[str, dict[str, float]]:
    """Numbers of samples uint8 (n, C, H, W) whose predicted classes are `seen` int (n,); duplicates lie nearer than `within`.

    Without intervals: whether one sample has a double depends on the others.
    """
    pairs, _ = collapse.duplicates(memorization.as_points(images), within)
    doubled = np.zeros(len(images), dtype=bool)
    doubled[pairs] = True
    numbers = {"duplicates": {"value": rounded(float(doubled.mean()))}, "support": {"value": rounded(collapse.support_size(len(pairs), len(images)))}}
    if classes >= FEWEST_CLASSES:
        numbers["classes_covered"] = {"value": rounded(collapse.classes_covered(seen, classes))}
        numbers["class_entropy"] = {"value": rounded(collapse.class_entropy(seen, classes))}
    return numbers
