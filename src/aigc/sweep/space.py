"""The space of a sweep: a YAML file that names a method, objectives and the keys of params.yaml to try.

It is checked against the types and ranges of params.yaml before anything runs. Knows nothing of Optuna.
"""

import copy
import itertools
import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from aigc import methods
from aigc.core import config, paths
from aigc.core.config import Section, Seed
from aigc.core.errors import ConfigError
from aigc.metrics.table import METRICS
from aigc.model.sampling import GenerateConfig
from aigc.params import check
from aigc.sweep.parameter import (
    Choices,
    Parameter,
    Range,
    checked,
    faults_of,
    of_choices,
    of_range,
    types_of,
)
from aigc.training.config import TrainConfig

# Sections beside the method's own.
OPEN: dict[str, type[Section]] = {"train": TrainConfig, "generate": GenerateConfig}
CLOSED = {
    "train.seed": "is what the seeds of a trial differ in; set `seeds`",
    "train.watch": "changes no result",
    "train.intervals": "changes no result that is judged",
    "train.checkpoints": "changes no result",
    "generate.seed": "is noise of the judgement; trials must share it",
    "generate.count": "is part of the judgement; trials must share it",
}
METRIC = {metric.name: metric for metric in METRICS}
Point = dict[str, Any]  # {key of params.yaml: value}


class Content(Section):
    """What the file holds; its parameters are read one by one."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    method: str
    objectives: Annotated[list[str], Field(min_length=1)]
    parameters: Annotated[dict[str, Any], Field(min_length=1)]
    seeds: Annotated[int, Field(ge=1, le=100)] = 1
    sampler: Literal["tpe", "random", "grid"] = "tpe"
    seed: Seed = 0
    prune: bool = False


@dataclass(frozen=True)
class Space:
    """A sweep's space. objectives: names of the table of metrics. source: the content of the file."""

    name: str
    method: str
    objectives: tuple[str, ...]
    parameters: tuple[Parameter, ...]
    seeds: int
    sampler: str
    seed: int
    prune: bool
    source: Mapping[str, Any]

    @property
    def directions(self) -> "list[Literal['minimize', 'maximize']]":
        """Of each objective, as Optuna calls it."""
        return ["minimize" if METRIC[name].better == "lower" else "maximize" for name in self.objectives]

    def points(self, first: int, last: int) -> list[Point]:
        """What the trials `first` to `last` - 1 try, as Optuna keeps it; {} where the sampler decides later.

        A function of the seed and the trial's number alone. A grid ends with its last combination.
        """
        if self.sampler == "grid":
            values = itertools.product(*(parameter.all() for parameter in self.parameters))
            grid = [dict(zip((parameter.key for parameter in self.parameters), one, strict=True))
                    for one in values]
            return grid[first:last]
        if self.sampler == "tpe":
            return [{} for _ in range(first, last)]
        return [{parameter.key: parameter.draw(random.Random(f"{self.seed} {index} {parameter.key}"))
                 for parameter in self.parameters} for index in range(first, last)]

    def size(self) -> int | None:
        """The trials of a whole grid; None for another sampler."""
        return math.prod(len(one.all()) for one in self.parameters) if self.sampler == "grid" else None


def read(path: Path) -> tuple[Space | None, list[str]]:
    """The space in the file, and its faults, each a line; None where there are any. Raises ConfigError where
    the file or params.yaml cannot be read.
    """
    if not path.is_file():
        raise ConfigError(f"{path}: no such file; a space is a YAML file, docs/scaling.md has one")
    raw = config.read(path)
    params = config.read()
    check(params)
    return of(raw, params, str(path))


def of(raw: dict[str, Any], params: dict[str, Any], where: str) -> tuple[Space | None, list[str]]:
    """As `read`, of what a file holds. where: begins each fault."""
    try:
        content = Content.model_validate(raw)
    except ValidationError as error:
        return None, [f"{where}: {fault}" for fault in faults_of(error, list(Content.model_fields))]
    if content.method not in methods.available() or content.method not in params:
        known = [name for name in methods.available() if name in params]
        return None, [f"{where}: `method`: unknown method `{content.method}`"
                      f"{config.did_you_mean(content.method, known)}"]
    faults = list(_objective_faults(content))
    parameters = []
    for key, given in content.parameters.items():
        parameter, found = _parameter(key, given, content, params)
        faults += found
        if parameter is not None:
            parameters.append(parameter)
            if content.sampler == "grid" and not found and not parameter.all():
                faults.append(f"`{key}`: a grid needs `choices` or a `step` (without `log`)")
    if faults:
        return None, [f"{where}: {fault}" for fault in faults]
    return Space(content.name, content.method, tuple(content.objectives), tuple(parameters), content.seeds,
                 content.sampler, content.seed, content.prune, raw), []


def _objective_faults(content: Content) -> Iterator[str]:
    for name in content.objectives:
        if name not in METRIC:
            yield f"`objectives`: no metric `{name}`{config.did_you_mean(name, list(METRIC))}"
    if len(set(content.objectives)) < len(content.objectives):
        yield "`objectives`: names one twice"
    if content.prune and content.objectives != ["fid"]:
        yield "`prune`: looks at FID while a method trains, so `objectives` must be [fid]"
    if content.prune and f"{content.method}.images" in content.parameters:
        yield f"`prune`: compares equal trainings, so `{content.method}.images` must be the same for all"


def _parameter(key: str, given: Any, content: Content,
               params: dict[str, Any]) -> tuple[Parameter | None, list[str]]:
    """One parameter, and its faults."""
    section, _, name = key.partition(".")
    kinds: dict[str, type[Section]] = {content.method: methods.config_class(content.method), **OPEN}
    known = [f"{part}.{field}" for part, kind in kinds.items() for field in kind.model_fields
             if f"{part}.{field}" not in CLOSED and field in params[part]]
    if key in CLOSED:
        return None, [f"`{key}`: {CLOSED[key]}"]
    if key not in known:
        others = key in config.flatten(params)
        why = (f"is no setting of the training; a sweep tries keys of {', '.join(kinds)}" if others else
               f"{paths.PARAMS} has no such key{config.did_you_mean(key, known)}")
        return None, [f"`{key}`: {why}"]
    if not isinstance(given, dict):
        return None, [f"`{key}`: needs {{low, high}} or {{choices}} (found {given!r:.60})"]
    types = types_of(kinds[section].model_fields[name].annotation)

    def refusal(value: Any) -> str:
        changed = copy.deepcopy(params[section]) | {name: value}
        try:
            kinds[section].model_validate(changed)
        except ValidationError as error:
            return "; ".join(dict.fromkeys(problem["msg"].removeprefix("Value error, ")
                                           for problem in error.errors()))
        return ""

    try:
        parameter = (of_choices(key, Choices.model_validate(given)) if "choices" in given else
                     of_range(key, Range.model_validate(given), types))
    except ValidationError as error:
        kind = Choices if "choices" in given else Range
        return None, [f"`{key}`: {fault}" for fault in faults_of(error, list(kind.model_fields))]
    except ConfigError as error:
        return None, [f"`{key}`: {error}"]
    for value in checked(parameter):
        if text := refusal(value):
            return parameter, [f"`{key}`: {value!r} is not possible ({text})"]
    return parameter, []
