"""How well the trained classifier names real pictures: the classes that it sees, and the labels that it doubts."""

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
from aigc.networks.blocks import as_model_space

CHUNK = 1 << 14  # pictures whose logits lie in memory at once


def classes_seen(network: Classifier, split: Pictures, name: str, most: float, device: Device) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """The class seen in each picture, int64 (n,), and the doubtful ones as rows of `table` (see metrics.outliers)."""
    seen: list[np.ndarray] = []
    doubtful = []
    for start in range(0, len(split), CHUNK):
        labels = split.labels[start:start + CHUNK]
        logits = classify(network, split.images[start:start + CHUNK], device).logits
        seen.append(logits.argmax(1))
        for row, confidence in zip(*outliers(logits, labels, most), strict=True):
            doubtful.append({"split": name, "row": start + int(row), "class": split.classes[labels[row]],
                             "seen_as": split.classes[seen[-1][row]], "confidence": rounded(float(confidence))})
    return np.concatenate(seen), doubtful


def turns_seen(network: Classifier, images: np.ndarray, device: Device) -> tuple[np.ndarray, np.ndarray]:
    """Of uint8 (n, C, S, S) in all four turns: the turn, and the turn that the network sees, int64 (4 n,) each."""
    def under(turn: int, chunk: Tensor) -> tuple[Tensor, Tensor]:
        features, logits = network(as_model_space(chunk.rot90(turn, (2, 3))))
        return features, logits

    def answers(turn: int) -> Iterator[np.ndarray]:
        for start in range(0, len(images), CHUNK):
            yield extract_in_chunks(functools.partial(under, turn), images[start:start + CHUNK], device, ROWS).logits.argmax(1)

    return np.arange(TURNS).repeat(len(images)), np.concatenate([chunk for turn in range(TURNS) for chunk in answers(turn)])


def doubtful_table(doubtful: list[dict[str, Any]]) -> pd.DataFrame:
    """One row a doubtful picture, least confident first: split, row in it, class, class seen, confidence."""
    return pd.DataFrame(doubtful, columns=["split", "row", "class", "seen_as", "confidence"]).sort_values("confidence", kind="stable")


def judge(network: Classifier, train: Pictures, test: Pictures, outlier: float,
          device: Device) -> tuple[np.ndarray, np.ndarray, list[str], list[dict[str, Any]]]:
    """On the test split: the class of each picture, the class seen, the classes' names; and the doubtful pictures of both.

    Of pictures without classes: their quarter turns, and none that is doubtful.
    """
    if not network.names_classes:
        asked, predicted = turns_seen(network, test.images, device)
        return asked, predicted, [f"{90 * turn} degrees" for turn in range(TURNS)], []
    predicted, doubtful = classes_seen(network, test, "test", outlier, device)
    doubtful += classes_seen(network, train, "train", outlier, device)[1]
    return test.labels, predicted, test.classes, doubtful
