"""params.yaml as frozen typed objects: an unknown or ill-typed key is an error that names it.

It knows no method: a method's config class is in the method's file. It holds no defaults: every number that
a user may set is in params.yaml, with its unit and range.
"""

import copy
import difflib
import functools
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from aigc.core import paths
from aigc.core.errors import ConfigError

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(gt=0, le=10**12)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
PRINTABLE, LONGEST_LINE = r"[^\x00-\x1f\x7f]", 2000
Line = Annotated[str, Field(max_length=LONGEST_LINE, pattern=f"^{PRINTABLE}*$")]
FEWEST_CLASSES = 2  # pictures of a single class count as pictures without classes
SHARED = "shared"  # blocks that the sections of several methods merge
UNPARSED = ("methods", SHARED)  # top-level keys of params.yaml that are not sections


class Section(BaseModel):
    """One section of params.yaml. Strict: no unknown keys, no type conversion, immutable."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


S = TypeVar("S", bound=Section)


def read(path: Path = paths.PARAMS) -> dict[str, Any]:
    """The whole of params.yaml, read as DVC reads it (YAML 1.2: 1e-3 is a number). Raises ConfigError."""
    from ruamel.yaml import YAMLError

    try:
        content = copy.deepcopy(_load(path, path.read_bytes()))
    except FileNotFoundError:
        raise ConfigError(f"{path}: missing; run in the folder that holds it, or "
                          f"`git checkout {path}`") from None
    except (YAMLError, ValueError, RecursionError) as error:  # the last two: huge numbers, deep nesting
        raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise ConfigError(f"{path}: expected a mapping of named sections, found {content!r:.60}")
    return content


@functools.lru_cache(maxsize=1)
def _load(path: Path, _: bytes) -> Any:
    """What the file holds. Kept until its bytes are others: a stage reads several sections, slowly."""
    from ruamel.yaml import YAML

    return YAML(typ="safe", pure=True).load(path)


def section(name: str, kind: type[S], content: dict[str, Any] | None = None) -> S:
    """One section of params.yaml as `kind`.

    Raises ConfigError with the key that is missing, unknown or ill-typed.
    """
    content = read() if content is None else content
    if name not in content:
        raise ConfigError(f"{paths.PARAMS}: section `{name}` is missing")
    try:
        return kind.model_validate(content[name])
    except ValidationError as error:
        raise ConfigError("; ".join(_explain(name, kind, error))) from None


def _explain(name: str, kind: type[Section], error: ValidationError) -> list[str]:
    """One text for each key with a problem. A key of several types has a problem for each of them."""
    texts: list[str] = []
    problems: dict[tuple[str, str], list[str]] = {}
    for problem in error.errors():
        key = ".".join([name, *_without_types(kind, problem["loc"])])
        if problem["type"] == "extra_forbidden":
            known = _keys_at(kind, problem["loc"][:-1])
            texts.append(f"unknown key `{key}`{did_you_mean(str(problem['loc'][-1]), known)}")
        elif problem["type"] == "missing":
            texts.append(f"key `{key}` is missing")
        else:
            found = f" (found {problem['input']!r})" if not isinstance(problem["input"], dict) else ""
            problems.setdefault((key, found), []).append(problem["msg"].removeprefix("Value error, "))
    texts += [f"`{key}`: {', or: '.join(messages)}{found}" for (key, found), messages in problems.items()]
    return [f"{paths.PARAMS}: {text}" for text in texts]


def _without_types(kind: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """The keys of a location. pydantic appends the type that it tried, such as `constrained-int`."""
    first, *rest = location or ("",)
    inner = kind.model_fields[first].annotation if first in kind.model_fields else None
    if isinstance(inner, type) and issubclass(inner, BaseModel):
        return [str(first), *_without_types(inner, tuple(rest))] if rest else [str(first)]
    return [str(part) for index, part in enumerate(location) if index == 0 or isinstance(part, int)]


def first_problem(error: ValidationError) -> str:
    """The first error that pydantic reports, as "key: message"."""
    problem = error.errors()[0]
    return f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"


def _keys_at(kind: type[BaseModel], location: tuple[Any, ...]) -> list[str]:
    for step in location:
        inner = kind.model_fields[step].annotation
        assert isinstance(inner, type) and issubclass(inner, BaseModel)
        kind = inner
    return list(kind.model_fields)


def did_you_mean(word: str, known: list[str]) -> str:
    """'; did you mean `x`?' where a known word is similar, else the list of known words."""
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean `{near[0]}`?" if near else f"; known here: {', '.join(sorted(known))}"


def methods(content: dict[str, Any] | None = None) -> list[str]:
    """The names under `methods:`. Raises ConfigError unless it is a list of distinct names."""
    names = (read() if content is None else content).get("methods")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"{paths.PARAMS}: `methods` must be a list of names, such as [vae, gan] "
                          f"(found {names!r})")
    if len(set(names)) < len(names):
        raise ConfigError(f"{paths.PARAMS}: `methods` names one twice: {', '.join(names)}")
    return names


def flatten(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} -> {"a.b": 1}, as MLflow and DVC show params."""
    flat: dict[str, Any] = {}
    for key, value in content.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat


def nested(content: dict[str, Any]) -> dict[str, Any]:
    """{"a.b": 1, "c": {"d": 2}} -> {"a": {"b": 1}, "c": {"d": 2}}: as DVC locks sections and single keys."""
    sections: dict[str, Any] = {}
    for key, value in content.items():
        name, dot, rest = key.partition(".")
        sections[name] = {**sections.get(name, {}), rest: value} if dot else value
    return sections
