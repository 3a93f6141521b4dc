"""MLflow as the observer of the stages: what a training and an evaluation tell becomes one run."""

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from aigc.core import paths
from aigc.metrics.intervals import flat
from aigc.model import sampling
from aigc.model.card import Card, parameter_count
from aigc.model.contract import Method
from aigc.reporting.grid import grid
from aigc.tracking import finished, views
from aigc.tracking.run import TrainingRun, training_run
from aigc.training.observer import Observer, Row, Training, TrainingWatch

PREVIEWS = 64  # samples in one picture


class MlflowObserver(Observer):
    @contextmanager
    def training(self, training: Training) -> Iterator[TrainingWatch]:
        with training_run(training) as run:
            yield RunWatch(run, training)

    def evaluated(self, method: Method, card: Card, metrics: Mapping[str, Any]) -> None:
        """Add the numbers (fid, fid_low, memorization/pixels/c_t, ...) to the run that trained these weights."""
        numbers = {**flat(metrics), "sampling_images_per_second": sampling.pace(method),
                   "parameters": parameter_count(method.state_dict())}
        artifacts = [paths.metrics(card.method), paths.grid(card.method)]
        if not finished.add_metrics(card.weights_sha256, numbers, artifacts, views.verdict_tags(metrics)):
            print(f"{card.method}: the MLflow store has no run of these weights (DVC restored them from its cache); "
                  "`aigc sync` makes one")


class RunWatch(TrainingWatch):
    def __init__(self, run: TrainingRun, training: Training) -> None:
        self.run, self.training = run, training

    def progress(self, history: list[Row], average: Method) -> None:
        self.run.log_history(history)
        if len(history) % self.training.previews == 0 and history[-1]["step"] < self.training.steps:
            self.run.log_grid(preview(average))

    def trained(self, average: Method, folder: Path, card: Card) -> None:
        self.run.log_grid(preview(average))
        self.run.log_model(folder, card.weights_sha256)


def preview(method: Method) -> np.ndarray:
    """The first pictures of seed 0 as one: the same latents at every checkpoint, uint8 (H, W, C).

    What a method fits after training (an autoencoder's density, batch statistics) is in the last one only.
    """
    images = torch.cat(list(sampling.blocks(method, 0, PREVIEWS))).numpy()
    return grid(images, math.isqrt(PREVIEWS))
