"""What the trained classifier answers on real pictures: its accuracy, and the labels that it doubts."""

import functools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from torch import Tensor

from aigc.core.runtime import Device
from aigc.data.pictures import Pictures
from aigc.features.classifier import TURNS, Classifier
from aigc.features.extractor import ROWS, look, see
from aigc.metrics.intervals import rounded
from aigc.metrics.outliers import outliers
from aigc.networks.blocks import as_model_space

CHUNK = 1 << 14  # pictures whose logits lie in memory at once


def on_classes(network: Classifier, split: Pictures, name: str, most: float, device: Device) -> tuple[np.ndarray, list[dict[str, Any]]]:
    """The class seen in each picture, int64 (n,), and the doubtful ones as rows of `table` (see metrics.outliers)."""
    seen: list[np.ndarray] = []
    doubtful = []
    for start in range(0, len(split), CHUNK):
        labels = split.labels[start:start + CHUNK]
        logits = see(network, split.images[start:start + CHUNK], device).logits
        seen.append(logits.argmax(1))
        for row, confidence in zip(*outliers(logits, labels, most), strict=True):
            doubtful.append({"split": name, "row": start + int(row), "class": split.classes[labels[row]],
                             "seen_as": split.classes[seen[-1][row]], "confidence": rounded(float(confidence))})
    return np.concatenate(seen), doubtful


def on_turns(network: Classifier, images: np.ndarray, device: Device) -> tuple[np.ndarray, np.ndarray]:
    """Of uint8 (n, C, S, S) in all four turns: the turn, and the turn that the network sees, int64 (4 n,) each."""
    def under(turn: int, chunk: Tensor) -> tuple[Tensor, Tensor]:
        features, logits = network(as_model_space(chunk.rot90(turn, (2, 3))))
        return features, logits

    def answers(turn: int) -> Iterator[np.ndarray]:
        for start in range(0, len(images), CHUNK):
            yield look(functools.partial(under, turn), images[start:start + CHUNK], device, ROWS).logits.argmax(1)

    return np.arange(TURNS).repeat(len(images)), np.concatenate([chunk for turn in range(TURNS) for chunk in answers(turn)])


def table(doubtful: list[dict[str, Any]]) -> pd.DataFrame:
    """One row a doubtful picture, least confident first: split, row in it, class, class seen, confidence."""
    return pd.DataFrame(doubtful, columns=["split", "row", "class", "seen_as", "confidence"]).sort_values("confidence", kind="stable")
