"""Who may watch a stage: what a training and an evaluation tell, and an observer that listens to nothing.

An observer is handed to the stage from outside and cannot change an out. `aigc.tracking.observer` tells
MLflow.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aigc.model.card import Card
from aigc.model.contract import Method

Row = dict[str, float]


@dataclass(frozen=True)
class Training:
    """What a training is, before it begins.

    params: flat, {"train.seed": 0, ...}. code: {module: sha256}. steps: the length of the training.
    watch: train.watch. is_repeat: it was finished and recorded before, and is done anew. processes: those
    that share it; their number changes no byte.
    """

    method: str
    fingerprint: str
    params: Mapping[str, Any]
    code: Mapping[str, str]
    data: Path
    data_sha256: str
    steps: int
    watch: bool
    is_repeat: bool
    processes: int = 1


class TrainingWatch:
    """Is told of one training. This one ignores all."""

    def progress(self, history: list[Row], average: Method) -> None:
        """A checkpoint was written. history: a row an interval. average: the averaged model in eval mode."""

    def trained(self, average: Method, folder: Path, card: Card) -> None:
        """The model lies in `folder`."""


class Observer:
    """Is told of what stages do. This one ignores all."""

    @contextmanager
    def training(self, training: Training) -> Iterator[TrainingWatch]:
        """Watch one training until the block ends."""
        yield TrainingWatch()

    def evaluated(self, method: Method, card: Card, metrics: Mapping[str, Any]) -> None:
        """metrics: the content of reports/metrics/METHOD.json."""
