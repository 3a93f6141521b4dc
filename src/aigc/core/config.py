"""params.yaml as frozen typed objects: an unknown or ill-typed key is an error that names it.

Knows no method: a method's config class lives on the method's page. Not for: defaults; every number that a
user may turn stands in params.yaml, with its unit and range.
"""

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from aigc.core import paths
from aigc.core.errors import ConfigError

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(gt=0, le=10**12)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]
PRINTABLE, LONGEST_LINE = r"[^\x00-\x1f\x7f]", 2000
Line = Annotated[str, Field(max_length=LONGEST_LINE, pattern=f"^{PRINTABLE}*$")]
FEWEST_CLASSES = 2  # with one there is nothing to tell apart: such pictures have no classes
SMALLEST_SAMPLE = 100  # pictures: five cells of twenty, by which C_T tells the audit's controls apart


class Section(BaseModel):
    """One block of params.yaml. Strict: no unknown key, no silent conversion, nothing changes afterwards."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Runtime(Section):
    arithmetic: Literal["portable", "fast"]
    threads: Annotated[int, Field(ge=1, le=1024)]


class Split(Section):
    """Shares of the pictures; what is neither holdout nor test is train."""

    seed: Seed
    holdout: Share
    test: Share

    @model_validator(mode="after")
    def _leaves_something_to_train_on(self) -> "Split":
        if self.holdout + self.test >= 1:
            raise ValueError("holdout + test must stay below 1, or nothing is left to train on")
        return self


class Data(Section):
    source: Literal["digits", "fashion-mnist", "mnist", "cifar10", "idx", "folder", "csv", "npy"]
    path: Annotated[str, Field(min_length=1)]
    table: str
    path_column: str
    label_column: str
    max_quarantined: Share
    licence: Line
    attribution: Line
    url: Line
    split: Split


Judgement = Literal["rows", "classes", "imbalance", "duplicates", "near_duplicates", "conflicts", "blank", "ink", "aspect",
                    "small", "drift"]


class Validate(Section):
    min_rows: Count
    min_classes: Count
    min_class_share: Share
    max_duplicates: Share
    max_near_duplicates: Share
    near_duplicate_bits: Annotated[int, Field(ge=0, le=64)]
    min_std: Annotated[float, Field(ge=0, le=127.5)]
    min_ink: Share
    max_ink: Share
    max_aspect: Annotated[float, Field(ge=1)]
    min_source_side: Count
    max_drift: Annotated[float, Field(ge=0)]
    warn: list[Judgement]


class Preprocess(Section):
    size: Literal[16, 28, 32, 64, 128]
    channels: Literal[1, 3]
    fit: Literal["crop", "pad", "stretch"]
    background: Annotated[list[Annotated[int, Field(ge=0, le=255)]], Field(min_length=3, max_length=3)]


class Evaluator(Section):
    seed: Seed
    images: Count
    batch_size: Count
    learning_rate: Positive
    width: Count
    features: Count
    min_accuracy: Share
    outlier: Share


class Train(Section):
    seed: Seed
    intervals: Count
    checkpoints: Count
    balanced: bool = False
    mirror: bool = False
    shift: Annotated[int, Field(ge=0)] = 0
    crop: Annotated[float, Field(gt=0, le=1)] = 1.0

    @model_validator(mode="after")
    def _checkpoints_fall_on_intervals(self) -> "Train":
        if self.intervals % self.checkpoints:
            raise ValueError(f"intervals ({self.intervals}) must be a multiple of checkpoints ({self.checkpoints})")
        return self


class Generate(Section):
    seed: Seed
    count: Count
    temperature: Positive


class Evaluate(Section):
    """neighbours: k of the balls; inception_weights: the file, or "" for torch's own cache."""

    sample_size: Annotated[int, Field(ge=40)]
    seed: Seed
    precision_neighbours: Annotated[int, Field(ge=1, le=30)]
    coverage_neighbours: Annotated[int, Field(ge=1, le=30)]
    extractor: Literal["classifier", "inception"]
    inception_weights: str


class Audit(Section):
    classifier_images: Count
    near_duplicate: Annotated[float, Field(gt=0, lt=0.5)]
    max_near_duplicates: Share


SECTIONS: dict[str, type[Section]] = {
    "runtime": Runtime, "data": Data, "validate": Validate, "preprocess": Preprocess, "evaluator": Evaluator,
    "train": Train, "generate": Generate, "evaluate": Evaluate, "audit": Audit,
}

S = TypeVar("S", bound=Section)


def read(path: Path = paths.PARAMS) -> dict[str, Any]:
    """The whole of params.yaml, read as DVC reads it (YAML 1.2: 1e-3 is a number). Raises ConfigError."""
    from ruamel.yaml import YAML, YAMLError

    try:
        content = YAML(typ="safe", pure=True).load(path)
    except FileNotFoundError:
        raise ConfigError(f"{path}: missing; run in the folder that holds it, or `git checkout {path}`") from None
    except (YAMLError, ValueError, RecursionError) as error:  # the latter two: numbers and nesting beyond all use
        raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
        raise ConfigError(f"{path}: expected a mapping of named sections, found {content!r:.60}")
    return content


def section(name: str, kind: type[S], content: dict[str, Any] | None = None) -> S:
    """One section of params.yaml as `kind`. Raises ConfigError naming the key that is missing, unknown or ill-typed."""
    content = read() if content is None else content
    if name not in content:
        raise ConfigError(f"{paths.PARAMS}: section `{name}` is missing")
    try:
        return kind.model_validate(content[name])
    except ValidationError as error:
        raise ConfigError("; ".join(_explain(name, kind, problem) for problem in error.errors())) from None


def _explain(name: str, kind: type[Section], problem: Any) -> str:
    key = ".".join([name, *map(str, problem["loc"])])
    if problem["type"] == "extra_forbidden":
        known = _keys_at(kind, problem["loc"][:-1])
        return f"{paths.PARAMS}: unknown key `{key}`{did_you_mean(str(problem['loc'][-1]), known)}"
    if problem["type"] == "missing":
        return f"{paths.PARAMS}: key `{key}` is missing"
    given = f" (found {problem['input']!r})" if not isinstance(problem["input"], dict) else ""
    return f"{paths.PARAMS}: `{key}`: {problem['msg'].removeprefix('Value error, ')}{given}"


def _keys_at(kind: type[BaseModel], location: tuple[Any, ...]) -> list[str]:
    for step in location:
        inner = kind.model_fields[step].annotation
        assert isinstance(inner, type) and issubclass(inner, BaseModel)
        kind = inner
    return list(kind.model_fields)


def did_you_mean(word: str, known: list[str]) -> str:
    """'; did you mean `x`?' when something known is near, else the list of what is known."""
    near = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean `{near[0]}`?" if near else f"; known here: {', '.join(sorted(known))}"


def methods(content: dict[str, Any] | None = None) -> list[str]:
    """The names under `methods:`. Raises ConfigError when it is no list of distinct names."""
    names = (read() if content is None else content).get("methods")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise ConfigError(f"{paths.PARAMS}: `methods` must be a list of names, such as [vae, gan] (found {names!r})")
    if len(set(names)) < len(names):
        raise ConfigError(f"{paths.PARAMS}: `methods` names one twice: {', '.join(names)}")
    return names


def flatten(content: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """{"a": {"b": 1}} -> {"a.b": 1}, as MLflow and DVC show params."""
    flat: dict[str, Any] = {}
    for key, value in content.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return flat
