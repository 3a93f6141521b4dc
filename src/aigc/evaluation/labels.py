"""What labelled samples are worth: the classification report, GAN-test, GAN-train, and FID within each class."""

from typing import Any

import numpy as np
import pandas as pd

from aigc.core.errors import DataError
from aigc.metrics import labels
from aigc.metrics.intervals import all_rounded, of_share, rounded


def measure(asked: np.ndarray, seen: np.ndarray, learned: np.ndarray, classes: int) -> tuple[dict[str, Any], labels.Report]:
    """asked, seen: int (n,), the labels that samples were made for and those that the evaluator sees. learned: bool (m,), which
    real test pictures a classifier names rightly that learned from the samples alone. Raises DataError on unlabelled ones."""
    try:
        report = labels.report(asked, seen, classes)
    except ValueError as error:
        raise DataError(f"these samples have no label metrics: {error}; make them again with `dvc repro -f -s generate`") from None
    numbers: dict[str, Any] = {"gan_test": of_share(asked == seen, "exact"), "gan_train": of_share(learned, "exact")}
    for name, averages in report.averages().items():
        numbers[name] = all_rounded({"value": averages["macro"], "weighted": averages["weighted"]})
    return numbers, report


def table(report: labels.Report, fids: list[dict[str, float]], floors: list[dict[str, float]], classes: list[str]) -> pd.DataFrame:
    """One row a class: precision, recall, f1, support, FID within the class with its floor, and how often it is seen as each."""
    rows = pd.DataFrame({"class": classes, "precision": report.precision, "recall": report.recall, "f1": report.f1,
                         "support": report.support})
    for column in ("value", "low", "high", "n"):
        rows[f"fid_{column}".removesuffix("_value")] = [found.get(column) for found in fids]
    rows["fid_floor"] = [floor.get("value") for floor in floors]
    for index, name in enumerate(classes):
        rows[f"seen as {name}"] = report.confusion[:, index]
    return rows.map(lambda value: rounded(value) if isinstance(value, float) else value)
