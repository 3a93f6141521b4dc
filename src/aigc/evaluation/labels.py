"""Label metrics: whether samples show the class that was requested, with one table row a class."""

from typing import Any

import numpy as np
import pandas as pd

from aigc.core.errors import DataError
from aigc.metrics import labels
from aigc.metrics.intervals import all_rounded, of_share, rounded


def measure(requested: np.ndarray, predicted: np.ndarray, gan_train: np.ndarray,
            classes: int) -> tuple[dict[str, Any], labels.Report]:
    """The label metrics of samples. requested, predicted: the class of each sample, int (n,).

    gan_train: what gan_train.correct_on_real returns for the samples, bool (m,). Raises DataError if samples
    are unlabelled.
    """
    try:
        report = labels.report(requested, predicted, classes)
    except ValueError as error:
        raise DataError(f"these samples have no label metrics: {error}; make them again with "
                        "`dvc repro -f -s generate`") from None
    numbers: dict[str, Any] = {"gan_test": of_share(requested == predicted, "exact"),
                               "gan_train": of_share(gan_train, "exact")}
    for name, averages in report.averages().items():
        numbers[name] = all_rounded({"value": averages["macro"], "weighted": averages["weighted"]})
    return numbers, report


def table(report: labels.Report, fids: list[dict[str, float]], floors: list[dict[str, float]],
          classes: list[str]) -> pd.DataFrame:
    """One row a class: precision, recall, f1, support, FID within the class with its floor, and the count of
    each prediction.

    fids, floors: what metrics.labels.fid_per_class returns for samples and for the real holdout.
    """
    rows = pd.DataFrame({"class": classes, "precision": report.precision, "recall": report.recall,
                         "f1": report.f1,
                         "support": report.support})
    for column in ("value", "low", "high", "n"):
        rows[f"fid_{column}".removesuffix("_value")] = [fid.get(column) for fid in fids]
    rows["fid_floor"] = [floor.get("value") for floor in floors]
    for index, name in enumerate(classes):
        rows[f"seen as {name}"] = report.confusion[:, index]
    return rows.map(lambda value: rounded(value) if isinstance(value, float) else value)
