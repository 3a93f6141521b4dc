"""One key of params.yaml that a sweep tries: a range or choices, its check, and values drawn from it."""

import json
import math
import random
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import Field, ValidationError

from aigc.core import config
from aigc.core.config import Section
from aigc.core.errors import ConfigError

DIGITS = 6  # significant digits of a value that is tried
MOST_CHECKED = 256  # values of a range of whole numbers that are all checked; of a longer one, its ends


class Range(Section):
    """low to high, both included; log: on a logarithmic scale; step: only low + k * step."""

    low: int | float
    high: int | float
    log: bool = False
    step: int | float | None = None


class Choices(Section):
    choices: Annotated[list[Any], Field(min_length=2)]


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


def of_choices(key: str, given: Choices) -> Parameter:
    parameter = Parameter(key, choices=tuple(given.choices))
    if len({repr(name) for name in parameter.names}) < len(given.choices):
        raise ConfigError("`choices` names one twice")
    return parameter


def of_range(key: str, given: Range, types: set[Any]) -> Parameter:
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


def checked(parameter: Parameter) -> list[Any]:
    """The values that are checked before anything runs."""
    if parameter.choices:
        return list(parameter.choices)
    ends = [parameter.low, parameter.high]
    if parameter.is_whole and parameter.high - parameter.low <= MOST_CHECKED * (parameter.step or 1):
        step = int(parameter.step or 1)
        return list(range(int(parameter.low), int(parameter.high) + 1, step))
    return ends


def types_of(annotation: Any) -> set[Any]:
    """The types, and the words, that a key takes."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return types_of(inner[0])
    if origin is Literal:
        return set(inner)
    if origin in (Union, UnionType):
        return set().union(*map(types_of, inner))
    return {origin or annotation}


def faults_of(error: ValidationError, known: list[str]) -> list[str]:
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
