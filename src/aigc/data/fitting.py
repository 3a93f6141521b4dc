"""`aigc data use`: the settings of params.yaml that fit some pictures, each with its reason.

Ingest and the gate run once on the pictures, in a temporary folder. What they find decides.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd

from aigc.core import config
from aigc.core.config import FEWEST_CLASSES
from aigc.core.errors import DataError
from aigc.data import adopting, check, expectations
from aigc.data.config import DataConfig, GateConfig, PreprocessConfig
from aigc.data.ingest import Counts
from aigc.evaluation.config import SMALLEST_SAMPLE, EvaluateConfig
from aigc.recipes import Recipe, Step

Fitted = TypeVar("Fitted", DataConfig, PreprocessConfig)

CPU_SIZE = 32  # pixels a side, at most: what two cores train in minutes
GREY_MODES = {"1", "L", "I;16", "F", "I", "LA"}
TRANSPARENT_MODES = ("RGBA", "LA", "PA", "La", "RGBa")
MOST_QUARANTINED = 0.2  # above it the pictures need mending, not another threshold
SHARES = (0.2, 0.34)  # of holdout and of test: the usual one, and the largest
WARNED = ("imbalance", "near_duplicates", "conflicts", "blank", "drift")  # may stay as they are
# Above this share of pictures that look like another, real test pictures are as near to training pictures as
# slightly changed copies are: the audit's usual limit finds none of its planted copies. Measured on 3,786
# emoji, 42% alike, and 1,415 icons, 5%: with 0.15 it finds 92% and 87% of them; of the holdout 12% and 5%.
ALIKE = 0.02
OF_ALIKE = {"audit.near_duplicate": 0.15, "audit.max_near_duplicates": 0.25}
ROOM = 1.05  # copies stay in one split, so that a split may be a little smaller than its share
# What two cores train in about two minutes a method at 32 x 32 in colour: see recipes/cifar10-cpu.yaml.
COLOUR_METHODS = ["vae", "dcgan", "cgan", "flow"]
COLOUR = {"vae.likelihood": "gaussian", "vae.trunk": "convolution", "vae.images": 60_000,
          "dcgan.batch_size": 8, "dcgan.r1": 0.1, "dcgan.images": 62_000,
          "cgan.batch_size": 8, "cgan.r1": 0.1, "cgan.images": 72_000, "flow.images": 180_000}


@dataclass(frozen=True)
class Found:
    """What ingest and the gate found: the data section, the manifest, the counts, names that do not hold."""

    data: DataConfig
    table: pd.DataFrame
    counts: Counts
    failing: list[str]

    @property
    def classes(self) -> int:
        return int(self.table["label"].nunique())

    @property
    def is_coloured(self) -> bool:
        return not set(self.table["source_mode"]) <= GREY_MODES


def fit(path: Path, processes: int, size: int | None = None,
        place: Path | None = None) -> tuple[str, Recipe, DataConfig]:
    """What was found, as text, the recipe for the pictures at `path`, and the source that was read.

    size: pixels a side; None = chosen. place: where the recipe says that they lie; None = where they are.
    Raises ConfigError or DataError where the pictures cannot be used.
    """
    content = config.read()
    stated = config.section("data", DataConfig, content)
    shape = config.section("preprocess", PreprocessConfig, content)
    limits = config.section("validate", GateConfig, content)
    found = _examined(check.recognise(path.resolve(), stated), shape, limits, processes)
    _check(path, found)
    first = [*_source(found), *_pictures(found, size), *_splits(found)]
    data, fitted = _changed(found.data, first, "data."), _changed(shape, first, "preprocess.")
    if (data, fitted) != (found.data, shape):  # copies and splits depend on them
        found = _examined(data, fitted, limits, processes)
    steps = [*first, *_sample(found, content), *_gate(found, limits), *_training(found, content)]
    if place:
        steps[0].set["data.path"] = adopting.path_below(data, place)
    text = check.summary(path, data, found.counts, found.table, fitted)
    recipe = Recipe(title=f"the pictures at {path}", result="starting point, not measured", steps=steps)
    return text, recipe, data


def _changed(section: Fitted, steps: list[Step], prefix: str) -> Fitted:
    """A section of params.yaml with the values of the steps. Raises ConfigError where one is none."""
    changed = section.model_dump()
    for key, value in (pair for step in steps for pair in step.set.items()):
        *inner, name = key.removeprefix(prefix).split(".")
        if key.startswith(prefix):
            (changed[inner[0]] if inner else changed)[name] = value
    return config.section(prefix[:-1], type(section), {prefix[:-1]: changed})


def _examined(data: DataConfig, shape: PreprocessConfig, limits: GateConfig, processes: int) -> Found:
    counts, judged, table, _ = check.examine(data, shape, limits, processes)
    failing = [result["name"] for result in expectations.failed(judged.verdict["results"], "critical")]
    return Found(data, table, counts, list(dict.fromkeys(failing)))


def _check(path: Path, found: Found) -> None:
    """Raises DataError for pictures that no setting makes usable."""
    least = math.ceil(ROOM * SMALLEST_SAMPLE / SHARES[-1])
    if len(found.table) < least:
        raise DataError(f"{path}: {len(found.table)} pictures that can be used; the metrics need {least}: "
                        f"{SMALLEST_SAMPLE} to compare with, as many for the floor, the rest to train on")
    share = found.counts.quarantined / found.counts.found
    if share > MOST_QUARANTINED:
        raise DataError(f"{path}: {share:.0%} of the pictures cannot be used; `aigc data check {path}` lists "
                        "them with the reasons; mend or remove them")
    if "" in found.failing:
        raise DataError(f"{path}: the arrays do not fit the manifest; `aigc data check {path}` shows where")


def _source(found: Found) -> Iterator[Step]:
    data = found.data
    values = {"data.source": data.source, "data.path": data.path}
    if data.source == "csv":
        values["data.table"] = data.table
    yield Step(reason="where the pictures are", set=values)
    share = found.counts.quarantined / found.counts.found
    if share > data.max_quarantined:
        yield Step(reason=f"{found.counts.quarantined} of {found.counts.found} pictures cannot be used",
                   set={"data.max_quarantined": math.ceil(100 * share) / 100})


def _pictures(found: Found, size: int | None) -> Iterator[Step]:
    table = found.table
    median = int(table["source_side"].median())
    fitting = 28 if median == 28 else min(CPU_SIZE, max(16, median // 8 * 8))
    reason = "as asked" if size else f"half of them have {median} pixels or more"
    if size is None and median > CPU_SIZE:
        reason += f"; {CPU_SIZE} train in minutes on a CPU, --size takes another"
    yield Step(reason=reason, set={"preprocess.size": size or fitting})
    yield Step(reason="pictures in colour" if found.is_coloured else "grey pictures",
               set={"preprocess.channels": 3 if found.is_coloured else 1})
    transparent = table["source_mode"].str.startswith(TRANSPARENT_MODES).mean()
    if transparent > 1 / 2:
        yield Step(reason=f"{transparent:.0%} of them are transparent: whole, on the background",
                   set={"preprocess.fit": "pad"})


def _splits(found: Found) -> Iterator[Step]:
    count = len(found.table)
    share = next(share for share in SHARES if share * count >= ROOM * SMALLEST_SAMPLE)
    if share != SHARES[0]:
        yield Step(reason=f"of {count} pictures the metrics need {SMALLEST_SAMPLE} twice",
                   set={"data.split.holdout": share, "data.split.test": share})


def _sample(found: Found, content: dict[str, Any]) -> Iterator[Step]:
    smallest = int(found.table["split"].value_counts()[["holdout", "test"]].min())
    if smallest < config.section("evaluate", EvaluateConfig, content).sample_size:
        step = 100 if smallest >= 200 else 10
        yield Step(reason=f"the smallest split has {smallest} pictures",
                   set={"evaluate.sample_size": smallest // step * step})


def _gate(found: Found, limits: GateConfig) -> Iterator[Step]:
    table = found.table
    if "rows" in found.failing:
        yield Step(reason=f"there are {len(table)} pictures", set={"validate.min_rows": len(table) * 9 // 10})
    if "classes" in found.failing:
        yield Step(reason="pictures without classes" if found.classes < FEWEST_CLASSES
                   else f"there are {found.classes} classes", set={"validate.min_classes": found.classes})
    if "ink" in found.failing:
        yield Step(reason="the limits for ink are made for digits on a black ground",
                   set={"validate.min_ink": 0.0, "validate.max_ink": 1.0})
    if "aspect" in found.failing:
        yield Step(reason="the longest picture",
                   set={"validate.max_aspect": float(math.ceil(table["aspect"].max()))})
    if "small" in found.failing:
        yield Step(reason="the smallest picture",
                   set={"validate.min_source_side": int(table["source_side"].min())})
    if "duplicates" in found.failing:
        share = float((table["copy_of"] >= 0).mean())
        yield Step(reason=f"{share:.1%} of them are copies of another; copies stay in one split",
                   set={"validate.max_duplicates": math.ceil(100 * share) / 100})
    alike = float((table["looks_like"] >= 0).mean())
    if alike > ALIKE:
        yield Step(reason=f"{alike:.0%} of them look like another, so that a copy is harder to tell",
                   set=OF_ALIKE)
    warned = [name for name in WARNED if name in found.failing]
    if warned:
        yield Step(reason=f"{', '.join(warned)}: a warning, and the pictures stay",
                   set={"validate.warn": [*limits.warn, *warned]})


def _training(found: Found, content: dict[str, Any]) -> Iterator[Step]:
    from aigc import methods

    names = config.methods(content)
    if found.is_coloured:
        names = [name for name in COLOUR_METHODS if name in content]
        yield Step(reason="a mirrored picture is a picture too; not so for letters",
                   set={"train.mirror": True})
        yield Step(reason="for colour: a normal distribution, convolutions, small steps; about two minutes "
                   "on two cores each", set={key: value for key, value in COLOUR.items()
                                             if key.partition(".")[0] in content})
    needing = methods.needing_classes(names) if found.classes < FEWEST_CLASSES else []
    kept = [name for name in names if name not in needing]
    if kept != config.methods(content):
        reason = "the methods whose networks fit colour best" if found.is_coloured else "what fits"
        yield Step(reason=f"{reason}; {', '.join(needing)} needs classes" if needing else reason,
                   set={"methods": kept})
    smallest = np.bincount(found.table["label"] - found.table["label"].min()).min()
    if found.classes >= FEWEST_CLASSES and smallest < len(found.table) / found.classes / 2:
        yield Step(reason=f"the smallest class has {smallest} pictures", set={"train.balanced": True})
