"""The space of a sweep: a YAML file that names a method, objectives and the keys of params.yaml to try.

It is checked against the types and ranges of params.yaml before anything runs. Knows nothing of Optuna.
"""

import copy
import itertools
import json
import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import Field, ValidationError

from aigc import methods
from aigc.core import config, paths
from aigc.core.config import Section, Seed
from aigc.core.errors import ConfigError
from aigc.metrics.table import METRICS
from aigc.model.sampling import GenerateConfig
from aigc.params import check
from aigc.training.config import TrainConfig

DIGITS = 6  # significant digits of a value that is tried
MOST_CHECKED = 256  # values of a range of whole numbers that are all checked; of a longer one, its ends
OPEN = {"train": TrainConfig, "generate": GenerateConfig}  # sections beside the method's own
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


class Range(Section):
    """low to high, both included; log: on a logarithmic scale; step: only low + k * step."""

    low: int | float
    high: int | float
    log: bool = False
    step: int | float | None = None


class Choices(Section):
    choices: Annotated[list[Any], Field(min_length=2)]


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
class Parameter:
    """One key and the values that are tried: its choices, or a range of whole or of other numbers."""

    key: str
    choices: tuple[Any, ...] = ()
    low: float = 0
    high: float = 0
    log: bool = False
    step: float | None = None
    is_whole: bool = False

    @property
    def names(self) -> list[Any]:
        """The choices as Optuna keeps them: a list becomes its JSON."""
        return [value if isinstance(value, bool | int | float | str) else json.dumps(value)
                for value in self.choices]

    def value(self, suggested: Any) -> Any:
        """The value for params.yaml of what Optuna suggests."""
        if self.choices:
            return self.choices[self.names.index(suggested)]
        return int(suggested) if self.is_whole else self._rounded(suggested)

    def _rounded(self, value: float) -> float:
        return min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high)

    def draw(self, rng: random.Random) -> Any:
        """A value at random, as Optuna keeps it: uniform, or uniform in the logarithm."""
        if self.choices:
            return rng.choice(self.names)
        if self.step:
            return rng.choice(self.all())
        half = 0.5 if self.is_whole else 0.0
        low, high = self.low - half, self.high + half
        drawn = math.exp(rng.uniform(math.log(low), math.log(high))) if self.log else rng.uniform(low, high)
        return min(max(round(drawn), self.low), self.high) if self.is_whole else self._rounded(drawn)

    def all(self) -> list[Any]:
        """Every value, as Optuna keeps it; [] for a range that has no end of them."""
        if self.choices:
            return self.names
        step = self.step or (1 if self.is_whole else None)
        if step is None or self.log:
            return []
        values = [self.low + step * k for k in range(round((self.high - self.low) / step) + 1)]
        return values if self.is_whole else [self._rounded(value) for value in values]


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

        A function of the seed and the trial's number alone.
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
        return None, [f"{where}: {fault}" for fault in _faults(error, list(Content.model_fields))]
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
    types = _types(kinds[section].model_fields[name].annotation)

    def refusal(value: Any) -> str:
        changed = copy.deepcopy(params[section]) | {name: value}
        try:
            kinds[section].model_validate(changed)
        except ValidationError as error:
            return "; ".join(dict.fromkeys(problem["msg"].removeprefix("Value error, ")
                                           for problem in error.errors()))
        return ""

    try:
        parameter = (_choices(key, Choices.model_validate(given)) if "choices" in given else
                     _range(key, Range.model_validate(given), types))
    except ValidationError as error:
        kind = Choices if "choices" in given else Range
        return None, [f"`{key}`: {fault}" for fault in _faults(error, list(kind.model_fields))]
    except ConfigError as error:
        return None, [f"`{key}`: {error}"]
    for value in _checked(parameter):
        if text := refusal(value):
            return parameter, [f"`{key}`: {value!r} is not possible ({text})"]
    return parameter, []


def _choices(key: str, given: Choices) -> Parameter:
    parameter = Parameter(key, choices=tuple(given.choices))
    if len({repr(name) for name in parameter.names}) < len(given.choices):
        raise ConfigError("`choices` names one twice")
    return parameter


def _range(key: str, given: Range, types: set[Any]) -> Parameter:
    """Raises ConfigError where the range is empty or the key takes no such numbers."""
    bounds = [bound for bound in (given.low, given.high, given.step) if bound is not None]
    if not types & {int, float}:
        words = ", ".join(sorted(str(word) for word in types if isinstance(word, str))) or "no number"
        raise ConfigError(f"takes no number ({words}); name `choices`")
    is_whole = float not in types
    if is_whole and any(isinstance(bound, float) for bound in bounds):
        raise ConfigError(f"takes whole numbers (found {', '.join(map(repr, bounds))})")
    if not given.low < given.high:
        raise ConfigError(f"the range is empty: low {given.low} is not below high {given.high}")
    if given.log and (given.low <= 0 or given.step is not None):
        raise ConfigError("with `log`, low must be above 0 and there is no `step`")
    if given.step is not None:
        steps = (given.high - given.low) / given.step if given.step > 0 else 0.0
        if steps < 1 or not math.isclose(steps, round(steps), rel_tol=1e-9):
            raise ConfigError(f"high must be low plus a multiple of the step {given.step}, which is above 0")
    number = int if is_whole else float
    return Parameter(key, (), number(given.low), number(given.high), given.log,
                     None if given.step is None else number(given.step), is_whole)


def _checked(parameter: Parameter) -> list[Any]:
    """The values that are checked before anything runs."""
    if parameter.choices:
        return list(parameter.choices)
    ends = [parameter.low, parameter.high]
    if parameter.is_whole and parameter.high - parameter.low <= MOST_CHECKED * (parameter.step or 1):
        step = int(parameter.step or 1)
        return list(range(int(parameter.low), int(parameter.high) + 1, step))
    return ends


def _types(annotation: Any) -> set[Any]:
    """The types, and the words, that a key takes."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _types(inner[0])
    if origin is Literal:
        return set(inner)
    if origin in (Union, UnionType):
        return set().union(*map(_types, inner))
    return {origin or annotation}


def _faults(error: ValidationError, known: list[str]) -> list[str]:
    """Each key with a problem, as text."""
    texts: dict[str, str] = {}
    for problem in error.errors():
        name = str(problem["loc"][0]) if problem["loc"] else ""
        if problem["type"] == "extra_forbidden":
            texts[name] = f"unknown key `{name}`{config.did_you_mean(name, known)}"
        elif problem["type"] == "missing":
            texts[name] = f"key `{name}` is missing"
        elif name not in texts:
            texts[name] = f"`{name}`: {problem['msg']} (found {problem['input']!r:.60})"
    return list(texts.values())
