"""Measures the ruler: the metrics of damaged real pictures, computed as those of each method are."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from aigc.core.errors import GateError
from aigc.core.randomness import Purpose, stream_seed
from aigc.data.pictures import Pictures
from aigc.evaluation import fidelity
from aigc.evaluation.fidelity import Extractors, Selected
from aigc.features.contract import Features, PictureStack
from aigc.metrics import damages, ruler
from aigc.metrics.intervals import Number
from aigc.metrics.real import MetricSettings, RealStatistics

Damage = Callable[[np.ndarray, Sequence[np.random.Generator]], np.ndarray]


@dataclass(frozen=True)
class Damaged:
    """Pictures that are damaged when they are asked for. Picture i draws from (seed, name, i)."""

    images: np.ndarray
    damage: Damage
    seed: int
    name: str

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.images.shape)

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, rows: slice, /) -> np.ndarray:
        rngs = [np.random.default_rng(stream_seed(self.seed, Purpose.RULER, row, of=self.name))
                for row in range(*rows.indices(len(self)))]
        return self.damage(np.asarray(self.images[rows]), rngs)


def blurred(images: np.ndarray, seed: int) -> Iterator[tuple[str, PictureStack]]:
    """Each blur of the ruler of these pictures, uint8 (N, C, H, W)."""
    for name, sigma in ruler.BLURS.items():
        if sigma:
            yield name, Damaged(images, partial(damages.blurred, sigma=sigma), seed, name)


def damaged(holdout: Pictures, size: int, seed: int) -> Iterator[tuple[str, PictureStack]]:
    """Each damage of `size` holdout pictures. Pictures without classes have no damages of classes."""
    images, labels = holdout.images[:size], np.asarray(holdout.labels[:size])
    yield from blurred(images, seed)
    for name, deviation in ruler.NOISES.items():
        yield name, Damaged(images, partial(damages.noisy, deviation=deviation), seed, name)
    yield ruler.SHUFFLED, Damaged(images, damages.shuffled, seed, ruler.SHUFFLED)
    classes, rows = np.unique(labels, return_inverse=True)
    if len(classes) > 1:
        yield ruler.CLASS_MEANS, Selected(damages.class_means(images, rows, len(classes)), rows)
    if len(classes) > ruler.DROPPED_CLASSES:  # the rest repeats until there are as many pictures as before
        kept = np.flatnonzero(np.isin(holdout.labels, classes[:-ruler.DROPPED_CLASSES]))
        yield ruler.CLASSES_DROPPED, Selected(holdout.images, np.resize(kept, size))


def measure(real: Mapping[str, RealStatistics], extractors: Extractors, holdout: Pictures,
            holdout_features: Mapping[str, Features], seed: int,
            settings: MetricSettings) -> dict[str, dict[str, Number]]:
    """The metrics of each damage, at n = settings.n. holdout_features: of the whole holdout, by extractor."""
    size = settings.n
    undamaged = {name: Features(found.features[:size], found.logits[:size])
                 for name, found in holdout_features.items()}
    marks = {ruler.UNDAMAGED: fidelity.measure(real, undamaged, settings)}
    for name, stack in damaged(holdout, size, seed):
        marks[name] = fidelity.measure(real, extractors.extract(stack, ruler.TITLES[name], size), settings)
    return marks


def check(marks: ruler.Marks, protocol: Mapping[str, Any]) -> None:
    """Raises GateError if the extractor of `protocol` cannot order the blurs."""
    problem = ruler.disorder(marks)
    if problem:
        name, sha256 = protocol["extractor"], protocol["extractor_sha256"][:16]
        raise GateError(f"the extractor ({name}, {sha256}) cannot judge these pictures: {problem}; improve "
                        "it (evaluator.images, evaluator.width) or choose another (evaluate.extractor)")
