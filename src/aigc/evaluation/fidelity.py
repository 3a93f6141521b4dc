"""How near samples come to real pictures, and how much of them they cover: every metric of the table, with its interval.

One function for the floor, the ceiling, each method and `aigc evaluate`, so that all are computed alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
from aigc.metrics.real import MetricSettings, RealSide

MAIN = ""  # the run's extractor, beside those that single metrics ask for
ByExtractor = Mapping[str, Features]


def settings_of(config: EvaluateConfig) -> MetricSettings:
    """What the metrics need of the section `evaluate`."""
    return MetricSettings(config.sample_size, stream_seed(config.seed, Purpose.FID_INFINITY),
                          config.precision_neighbours, config.coverage_neighbours)


class Extractors:
    """The run's extractor, and those that single metrics ask for; the latter are opened when they are needed."""

    def __init__(self, main: FeatureExtractor, config: EvaluateConfig, device: Device) -> None:
        self.main = main
        self._opened = {MAIN: main, config.extractor: main}
        self._config, self._device = config, device

    def extract(self, images: PictureStack, place: str, at_least: int) -> ByExtractor:
        """Features for every metric. Raises DataError, naming `place`, where the pictures cannot be judged."""
        return {name: extract_checked(self._open(name), images, place, at_least)
                for name in dict.fromkeys([MAIN, *(metric.extractor for metric in table.METRICS)])}

    def _open(self, name: str) -> FeatureExtractor:
        if name not in self._opened:
            self._opened[name] = open_extractor(name, self._device, self._config.inception_weights)
        return self._opened[name]


def extract_checked(extractor: FeatureExtractor, images: PictureStack, place: str, at_least: int) -> Features:
    """What `extractor` gives. Raises DataError when the pictures are too few, or all alike, or features are not finite."""
    if len(images) < at_least:
        raise DataError(f"{place}: {len(images)} pictures, at least {at_least} are needed")
    found = extractor.extract(images)
    finite = np.isfinite(found.features).all(1) & np.isfinite(found.logits).all(1)
    if not finite.all():
        raise DataError(f"{place}: picture {int(np.argmin(finite))} has features that are not finite; "
                        "check the extractor's weights")
    if (found.features == found.features[0]).all():
        raise DataError(f"{place}: all {len(images)} pictures have the same features, so there is no distribution to "
                        "compare; look at them")
    return found


def real_sides(found: ByExtractor, settings: MetricSettings) -> dict[str, RealSide]:
    """The real side for each extractor, from features of real pictures."""
    return {name: RealSide.of(features.features, settings) for name, features in found.items()}


def write_real_sides(folder: Path, sides: Mapping[str, RealSide]) -> None:
    """Into `folder`, one .npy an array."""
    for name, side in sides.items():
        for part, array in side.arrays().items():
            files.write_npy(folder / _file_name(name, part), array)


def read_real_sides(folder: Path, settings: MetricSettings) -> dict[str, RealSide]:
    """What `write_real_sides` wrote."""
    names = dict.fromkeys([MAIN, *(metric.extractor for metric in table.METRICS)])
    parts = ("features", "mean", "root", "close_radii", "wide_radii")
    return {name: RealSide.from_arrays({part: np.array(files.map_npy(folder / _file_name(name, part)))
                                        for part in parts}, settings) for name in names}


def _file_name(extractor: str, part: str) -> str:
    return f"real_{extractor}_{part}.npy" if extractor else f"real_{part}.npy"


def measure(real: Mapping[str, RealSide], found: ByExtractor, settings: MetricSettings) -> dict[str, Number]:
    """Every metric that the extractors allow: value, and low and high where there is an interval."""
    wanted = [metric for metric in table.METRICS if found[metric.extractor].logits.shape[1] or not metric.needs_classes]
    double = {name: features.features.astype(np.float64) for name, features in found.items()}
    return {metric.name: metric.measure(real[metric.extractor], double[metric.extractor], found[metric.extractor].logits,
                                        settings)
            for metric in tqdm(wanted, disable=None, unit="metric", desc="metrics", leave=False)}


def beside(numbers: dict[str, Number], **references: Mapping[str, Any]) -> dict[str, Number]:
    """Each number with its floor, ceiling, ...: the value of the same name in each of `references`, where there is one."""
    return {name: {**number, **{what: values[name]["value"] for what, values in references.items() if name in values}}
            for name, number in numbers.items()}


def protocol(extractor: FeatureExtractor, config: EvaluateConfig, **facts: Any) -> dict[str, Any]:
    """What is needed to repeat the numbers. facts: what differs between the pipeline and `aigc evaluate`."""
    return {**extractor.protocol(), "n": config.sample_size, "seed": config.seed,
            "precision_neighbours": config.precision_neighbours, "coverage_neighbours": config.coverage_neighbours,
            "intervals": table.interval_texts(), **facts}


@dataclass(frozen=True)
class Noise:
    """Pictures of uniform noise for the ceiling, each made when it is asked for: a stack of shape (N, C, H, W)."""

    shape: tuple[int, ...]
    seed: int

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: slice, /) -> np.ndarray:
        return np.stack([np.random.default_rng(stream_seed(self.seed, Purpose.CEILING, row))
                         .integers(0, 256, self.shape[1:], np.uint8) for row in range(*rows.indices(len(self)))])
