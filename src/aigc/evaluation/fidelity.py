"""Fidelity and diversity: every metric of metrics/table.py for one set of pictures, each with its interval.

The floor, the ceiling, each method and `aigc evaluate` use the same function.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from tqdm import tqdm

from aigc.core import files
from aigc.core.errors import DataError
from aigc.core.randomness import Purpose, stream_seed
from aigc.core.runtime import Device
from aigc.evaluation.config import EvaluateConfig
from aigc.features.contract import FeatureExtractor, Features, PictureStack
from aigc.features.extractor import open_extractor
from aigc.metrics import table
from aigc.metrics.intervals import Number
from aigc.metrics.real import MetricSettings, RealStatistics

MAIN = ""  # the key of the run's extractor; see Metric.extractor
ByExtractor = Mapping[str, Features]


def settings_of(config: EvaluateConfig) -> MetricSettings:
    """The part of the section `evaluate` that metrics need."""
    return MetricSettings(config.sample_size, stream_seed(config.seed, Purpose.FID_INFINITY),
                          config.precision_neighbours, config.coverage_neighbours)


class Extractors:
    """The run's extractor, and those that single metrics always use. The latter are opened when they are
    needed.
    """

    def __init__(self, main: FeatureExtractor, config: EvaluateConfig, device: Device) -> None:
        self.main = main
        self._opened = {MAIN: main, config.extractor: main}
        self._config, self._device = config, device

    def extract(self, images: PictureStack, place: str, at_least: int) -> ByExtractor:
        """Features for every metric, by extractor. Raises DataError, naming `place`, as `extract_checked`
        does.
        """
        return {name: extract_checked(self._open(name), images, place, at_least)
                for name in _names()}

    def protocol(self) -> dict[str, Any]:
        """Describes the run's extractor and, under `extractors`, those that single metrics always use."""
        others = {name: self._open(name).protocol() for name in _names() if name != MAIN}
        return {**self.main.protocol(), **({"extractors": others} if others else {})}

    def _open(self, name: str) -> FeatureExtractor:
        if name not in self._opened:
            self._opened[name] = open_extractor(name, self._device)
        return self._opened[name]


def _names() -> list[str]:
    """MAIN, and the extractors that single metrics always use."""
    return list(dict.fromkeys([MAIN, *(metric.extractor for metric in table.METRICS)]))


def extract_checked(extractor: FeatureExtractor, images: PictureStack, place: str, at_least: int) -> Features:
    """The features of `images`. Raises DataError if pictures are too few or all equal, or features are not
    finite.
    """
    if len(images) < at_least:
        raise DataError(f"{place}: {len(images)} pictures, at least {at_least} are needed")
    extracted = extractor.extract(images)
    finite = np.isfinite(extracted.features).all(1) & np.isfinite(extracted.logits).all(1)
    if not finite.all():
        raise DataError(f"{place}: picture {int(np.argmin(finite))} has features that are not finite; "
                        "check the extractor's weights")
    if (extracted.features == extracted.features[0]).all():
        raise DataError(f"{place}: all {len(images)} pictures have the same features, so there is no "
                        "distribution to compare; check these pictures")
    return extracted


def hashes(protocol: Mapping[str, Any]) -> dict[str, str]:
    """The sha256 of each extractor of a protocol, by name."""
    others = {name: other["extractor_sha256"] for name, other in protocol.get("extractors", {}).items()}
    return {MAIN: protocol["extractor_sha256"], **others}


def real_statistics(features: ByExtractor, settings: MetricSettings) -> dict[str, RealStatistics]:
    """The statistics of real pictures, by extractor."""
    return {name: RealStatistics.of(extracted.features, settings) for name, extracted in features.items()}


def write_real_statistics(folder: Path, statistics: Mapping[str, RealStatistics]) -> None:
    """Write each array as a .npy in `folder`."""
    for name, of_extractor in statistics.items():
        for part, array in of_extractor.arrays().items():
            files.write_npy(folder / _file_name(name, part), array)


def read_real_statistics(folder: Path, settings: MetricSettings) -> dict[str, RealStatistics]:
    """Read what `write_real_statistics` wrote. Raises StorageError if an array is missing or damaged."""
    parts = ("features", "mean", "root", "close_radii", "wide_radii")
    return {name: RealStatistics.from_arrays({part: np.array(files.map_npy(folder / _file_name(name, part)))
                                        for part in parts}, settings) for name in _names()}


def _file_name(extractor: str, part: str) -> str:
    return f"real_{extractor}_{part}.npy" if extractor else f"real_{part}.npy"


def measure(real: Mapping[str, RealStatistics], features: ByExtractor,
            settings: MetricSettings) -> dict[str, Number]:
    """Every metric whose extractor suits it: {name: value, and low and high if there is an interval}."""
    possible = [metric for metric in table.METRICS
                if features[metric.extractor].logits.shape[1] or not metric.needs_classes]
    float64 = {name: extracted.features.astype(np.float64) for name, extracted in features.items()}
    return {metric.name: metric.measure(real[metric.extractor], float64[metric.extractor],
                                        features[metric.extractor].logits, settings)
            for metric in tqdm(possible, disable=None, unit="metric", desc="metrics", leave=False)}


def with_references(numbers: dict[str, Number], **references: Mapping[str, Any]) -> dict[str, Number]:
    """Each number with its floor, ceiling, ...: the value of the same name in each of `references`, if there
    is one.
    """
    return {name: {**number,
                   **{key: values[name]["value"] for key, values in references.items() if name in values}}
            for name, number in numbers.items()}


def protocol(extractors: Extractors, config: EvaluateConfig, **facts: Any) -> dict[str, Any]:
    """What is needed to repeat the numbers. facts: entries of the pipeline or of `aigc evaluate` alone."""
    return {**extractors.protocol(), "n": config.sample_size, "seed": config.seed,
            "precision_neighbours": config.precision_neighbours,
            "coverage_neighbours": config.coverage_neighbours,
            "intervals": table.interval_texts(), **facts}


@dataclass(frozen=True)
class Noise:
    """Pictures of uniform noise for the ceiling, made on access: uint8 (N, C, H, W)."""

    shape: tuple[int, ...]
    seed: int

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice, /) -> np.ndarray:
        return np.stack([np.random.default_rng(stream_seed(self.seed, Purpose.CEILING, row))
                         .integers(0, 256, self.shape[1:], np.uint8)
                         for row in range(*rows.indices(len(self)))])


class _Rows(Protocol):
    """An array or the files of a folder, of which any rows can be taken."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    def __getitem__(self, rows: np.ndarray, /) -> np.ndarray: ...


@dataclass(frozen=True)
class Selected:
    """Pictures of `stack` in the order of `rows` (int64 (n,)), in `channels` channels if that is not 0."""

    stack: _Rows
    rows: np.ndarray
    channels: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """(n, C, H, W)"""
        return len(self.rows), self.channels or self.stack.shape[1], *self.stack.shape[2:]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: slice, /) -> np.ndarray:
        chunk = np.asarray(self.stack[self.rows[rows]])
        return chunk if chunk.shape[1] == self.shape[1] else np.repeat(chunk, self.channels, axis=1)
