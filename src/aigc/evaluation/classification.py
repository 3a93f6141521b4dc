"""The trained classifier on real pictures: its predictions, and the labels that may be wrong."""

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from aigc.core.runtime import Device
from aigc.data.pictures import Pictures
from aigc.features.classifier import ROWS, TURNS, Classifier, classify
from aigc.features.contract import extract_in_chunks
from aigc.metrics.intervals import rounded
from aigc.metrics.outliers import outliers

CHUNK = 1 << 14  # pictures whose logits are in memory at once


def predict_classes(network: Classifier, split: Pictures, name: str, threshold: float,
                    device: Device) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """The predicted class of each picture, int64 (n,), and rows of `doubtful_table` (see metrics.outliers).
    """
    predicted: list[np.ndarray] = []
    doubtful = []
    for start in range(0, len(split), CHUNK):
        labels = split.labels[start:start + CHUNK]
        logits = classify(network, split.images[start:start + CHUNK], device).logits
        predicted.append(logits.argmax(1))
        for row, confidence in zip(*outliers(logits, labels, threshold), strict=True):
            doubtful.append({"split": name, "row": start + int(row), "class": split.classes[labels[row]],
                             "seen_as": split.classes[predicted[-1][row]],
                             "confidence": rounded(float(confidence))})
    return np.concatenate(predicted), doubtful


def predict_turns(network: Classifier, images: np.ndarray, device: Device) -> tuple[np.ndarray, np.ndarray]:
    """The quarter turn and the predicted turn, int64 (4 n,) each, for uint8 (n, C, S, S) in all four turns.
    """
    def forward(turn: int, chunk: Tensor) -> tuple[Tensor, Tensor]:
        return network.on_bytes(chunk.rot90(turn, (2, 3)))

    def predicted(turn: int) -> Iterator[np.ndarray]:
        for start in range(0, len(images), CHUNK):
            chunk = images[start:start + CHUNK]
            yield extract_in_chunks(functools.partial(forward, turn), chunk, device, ROWS).logits.argmax(1)

    return (np.arange(TURNS).repeat(len(images)),
            np.concatenate([chunk for turn in range(TURNS) for chunk in predicted(turn)]))


def doubtful_table(doubtful: list[dict[str, Any]]) -> pd.DataFrame:
    """One row a picture whose label may be wrong, least likely label first.

    Columns: split, row in the split, class, predicted class (`seen_as`), confidence in the label.
    """
    columns = ["split", "row", "class", "seen_as", "confidence"]
    return pd.DataFrame(doubtful, columns=columns).sort_values("confidence", kind="stable")


def classify_splits(network: Classifier, train: Pictures, test: Pictures, threshold: float,
                    device: Device) -> tuple[np.ndarray, np.ndarray, list[str], list[dict[str, Any]]]:
    """For the test split: the classes int64 (n,), the predicted ones, the names of classes. Then doubtful
    rows of both splits.

    Without classes: the quarter turns of the test pictures, and no doubtful rows.
    """
    if not network.names_classes:
        turns, predicted = predict_turns(network, test.images, device)
        return turns, predicted, [f"{90 * turn} degrees" for turn in range(TURNS)], []
    predicted, doubtful = predict_classes(network, test, "test", threshold, device)
    doubtful += predict_classes(network, train, "train", threshold, device)[1]
    return test.labels, predicted, test.classes, doubtful
