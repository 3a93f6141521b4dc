"""Looks at a training's samples while it runs: a grid of pictures, and FID against the holdout split.

For MLflow alone; no out depends on it. So `train` opens models/evaluator without a dep on it, and a failure
here is a line on stderr, never the end of a training.
"""

import copy
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from aigc import methods
from aigc.core import paths
from aigc.core.runtime import Device
from aigc.data import pictures
from aigc.data.pictures import Pictures
from aigc.features.extractor import ClassifierExtractor
from aigc.metrics import frechet
from aigc.metrics.intervals import rounded
from aigc.model import sampling
from aigc.model.contract import Method
from aigc.networks.blocks import as_model_space
from aigc.training.ema import refresh_batch_statistics
from aigc.training.observer import Training

SHARE = 0.03  # of the time since the start, at most; the first snapshot is taken in any case
SAMPLES = 256  # n of the FID, always: it depends on n
REAL = 500  # holdout pictures
CODES = 1000  # training pictures, for what a method fits after training
STATISTICS = 2  # blocks of samples for the statistics of batch normalisation


@dataclass(frozen=True)
class Snapshot:
    """images: uint8 (SAMPLES, C, H, W). fid: None without models/evaluator. extractor: its sha256, or ""."""

    images: np.ndarray
    fid: float | None
    extractor: str


class Watcher:
    """Takes a snapshot where the snapshots so far took less than SHARE of the time."""

    def __init__(self, training: Training) -> None:
        self.training = training
        self.started, self.spent, self.last_cost = time.monotonic(), 0.0, 0.0
        self.is_broken = False
        self.extractor: ClassifierExtractor | None = None
        self.real: frechet.Gaussian | None = None

    def snapshot(self, average: Method, is_trained: bool = False) -> Snapshot | None:
        """The samples of the averaged model so far; None: not now. is_trained: nothing is left to fit."""
        begun = time.monotonic()
        if self.is_broken or self.spent + self.last_cost > SHARE * (begun - self.started):
            return None
        try:
            if not self.spent:
                self._open(average)
            opened = time.monotonic()
            sources = sources_of(self.training.method, average, SAMPLES)
            blocks = sampling.blocks(self._ready(average, is_trained), 0, SAMPLES, sources=sources)
            images = torch.cat(list(blocks)).numpy()
            fid = self._fid(images)
        except Exception as error:  # of the evaluator, the data, the memory, the method
            self.is_broken = True
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
            self._say(f"not watched any longer ({reason})")
            return None
        self.last_cost = time.monotonic() - opened
        self.spent += time.monotonic() - begun
        return Snapshot(images, fid, self.extractor.sha256 if self.extractor else "")

    def _open(self, average: Method) -> None:
        """Open the evaluator and the real pictures, where there is an evaluator."""
        if not (paths.EVALUATOR / "config.json").exists():
            self._say(f"no FID while it trains: {paths.EVALUATOR} is missing; `dvc repro evaluator` makes it")
            return
        device = Device(next(average.parameters()).device, channels_last=False, low_precision=None)
        real = holdout(self.training.method, average).images
        extractor = ClassifierExtractor(device)
        self.real = frechet.fit(extractor.extract(evenly(real, REAL)).features)
        self.extractor = extractor

    def _fid(self, images: np.ndarray) -> float | None:
        if self.extractor is None or self.real is None:
            return None
        return rounded(frechet.distance(self.real, frechet.fit(self.extractor.extract(images).features)))

    def _ready(self, average: Method, is_trained: bool) -> Method:
        """A copy of the average that samples quickly, with what `Trainer.finish` will fit."""
        method = copy.deepcopy(average).eval()
        if method.draft_settings:
            method.config = method.config.model_copy(update=dict(method.draft_settings))
        if not is_trained:
            labels = sampling.default_labels(method, sampling.BLOCK)
            first = SAMPLES // sampling.BLOCK
            refresh_batch_statistics(method, STATISTICS,
                                     lambda index: sampling.one_block(method, 0, first + index, labels))
            with torch.no_grad():
                method.fit_after_training(self._training_pictures(method), 0)
        return method

    def _training_pictures(self, method: Method) -> Iterator[Tensor]:
        images = evenly(pictures.open_folder(self.training.data).images, CODES)
        yield as_model_space(torch.from_numpy(images).to(next(method.parameters()).device))

    def _say(self, text: str) -> None:
        print(f"{self.training.method}: {text}", file=sys.stderr, flush=True)


def holdout(name: str, average: Method) -> Pictures:
    """The holdout pictures of the classes that the method `name` learns from."""
    place = paths.PROCESSED / "holdout"
    return methods.learned(name, average.learns_from, pictures.open_folder(place), place)


def sources_of(name: str, average: Method, count: int) -> np.ndarray | None:
    """`count` holdout pictures to translate, again from the first after the last; None: it does not
    translate.
    """
    if not average.translates:
        return None
    real = holdout(name, average)
    found = real.images[sampling.source_rows(real.labels)[:count]]
    return np.resize(found, (count, *found.shape[1:]))


def evenly(images: np.ndarray, count: int) -> np.ndarray:
    """At most `count` of the images, evenly spaced: a split is sorted by class."""
    return np.array(images[np.linspace(0, len(images) - 1, min(count, len(images))).astype(int)])
