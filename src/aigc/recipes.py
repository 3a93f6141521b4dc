"""Recipes: small patches of params.yaml, each a file of recipes/ with reasons and a measured result.

The text of params.yaml is edited at the place of each value: ruamel's own writer moves the comments behind
anchors to other lines.
"""

import io
import sys
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML

from aigc.core import config, paths
from aigc.core.config import Line, Section
from aigc.core.errors import ConfigError
from aigc.params import check
from aigc.workspace.paths import RECIPES

OPTIONAL = ("init_from",)  # keys that a section may lack; "" means the same


class Step(Section):
    """Keys that are set for one reason: {"data.source": "digits"}."""

    reason: Line
    set: dict[str, Any]


class Recipe(Section):
    """result: what was measured, or that it is a starting point that nobody measured."""

    title: Line
    result: Line
    steps: list[Step]

    def values(self) -> dict[str, Any]:
        """Each key with its value."""
        return {key: value for step in self.steps for key, value in step.set.items()}


@dataclass(frozen=True)
class Change:
    """One key whose value changes; values as YAML texts."""

    key: str
    before: str
    after: str
    reason: str


def names() -> list[str]:
    """The names of all recipes."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def read(name: str) -> Recipe:
    """The recipe of this name. Raises ConfigError where there is none, or its file is not a recipe."""
    if name not in names():
        raise ConfigError(f"no recipe `{name}` in {RECIPES}/{config.did_you_mean(name, names())}")
    path = RECIPES / f"{name}.yaml"
    try:
        return Recipe.model_validate(config.read(path))
    except ValidationError as error:
        raise ConfigError(f"{path}: {config.first_problem(error)}") from None


def apply(recipe: Recipe, text: str | None = None) -> tuple[str, list[Change]]:
    """The text of params.yaml with the values of `recipe`, and what changes. Writes nothing.

    text: what to change instead of the file as it is now.
    Raises ConfigError where params.yaml lacks a key of the recipe, or where the result does not pass `check`.
    """
    if text is None:
        expected, text = config.read(), paths.PARAMS.read_bytes().decode()
    else:
        expected = YAML(typ="safe", pure=True).load(text)
    root = YAML(typ="safe", pure=True).compose(text)
    changes, edits = [], []
    for step in recipe.steps:
        for key, value in step.set.items():
            section, name = _section_of(expected, key)
            before = section.get(name, "")  # of a key of OPTIONAL
            if before != value:
                changes.append(Change(key, _yaml(before), _yaml(value), step.reason))
                section[name] = value
                edits.append(_edit(text, root, key, value))
    edits.sort(key=lambda edit: edit[0])
    for start, end, part in edits[::-1]:  # the last one first, so that the places of the others stay
        text = text[:start] + part + text[end:]
    found = YAML(typ="safe", pure=True).load(text)
    if found != expected:
        wanted = config.flatten(expected)
        others = [key for key, value in config.flatten(found).items() if wanted.get(key) != value]
        raise ConfigError(f"{paths.PARAMS}: the recipe would also change {', '.join(others)}; "
                          "it must set the keys of the methods themselves")
    check(found)
    return text, changes


def _section_of(content: dict[str, Any], key: str) -> tuple[dict[str, Any], str]:
    """The mapping that holds `key`, and the last part of the key. Raises ConfigError if there is none."""
    *sections, name = key.split(".")
    place: Any = content
    for section in sections:
        place = place.get(section) if isinstance(place, dict) else None
    if not isinstance(place, dict) or (name not in place and name not in OPTIONAL):
        raise ConfigError(f"{paths.PARAMS}: there is no key `{key}`, which the recipe sets; correct the "
                          f"recipe, or restore {paths.PARAMS}")
    return place, name


def _edit(text: str, root: Any, key: str, value: Any) -> tuple[int, int, str]:
    """The part of `text` (start, end, new text) that puts `value` at `key`. root: the nodes of `text`.

    A key that a section only merges is written into the section itself.
    """
    *sections, name = key.split(".")
    node = root
    for section in sections:
        node = next(inner for outer, inner in node.value if outer.value == section)
    own = next((pair for pair in node.value if pair[0].value == name), None)
    if own is None:
        return _insertion(text, node, f"{name}: {_yaml(value)}")
    start, end = own[1].start_mark.index, _end(own[1])
    if not isinstance(own[1].value, str) and not own[1].flow_style:  # a list with a line for each item
        return own[0].end_mark.index, end, f": {_yaml(value)}"
    line_end = _line_end(text, end)
    behind = text[end:line_end]
    comment = behind.lstrip(" ")
    if comment.startswith("#"):  # it stays in its column where there is room
        column = end - start + len(behind) - len(comment)
        return start, line_end, f"{_yaml(value):<{column - 1}} {comment}"
    return start, end, _yaml(value)


def _insertion(text: str, section: Any, line: str) -> tuple[int, int, str]:
    """The part that adds a key behind the last one of a section."""
    last_key, last_value = section.value[-1]
    end = max(last_key.end_mark.index, _end(last_value))  # a merged block ends before the key that merges it
    if section.flow_style:
        return end, end, f", {line}"
    end = _line_end(text, end)
    return end, end, f"\n{' ' * last_key.start_mark.column}{line}"


def _end(node: Any) -> int:
    """The index behind a value. ruamel's mark of a block stands behind the comments that follow it."""
    if isinstance(node.value, str) or node.flow_style or not node.value:
        return int(node.end_mark.index)
    last = node.value[-1]
    return _end(last[1] if isinstance(last, tuple) else last)


def _line_end(text: str, index: int) -> int:
    """The index of the newline at or behind `index`, or the end of the text."""
    found = text.find("\n", index)
    return len(text) if found < 0 else found


def _yaml(value: Any) -> str:
    """A value as YAML on one line."""
    stream = io.StringIO()
    writer = YAML(typ="safe", pure=True)
    writer.default_flow_style, writer.width = True, sys.maxsize
    writer.dump([value], stream)
    return stream.getvalue().strip()[1:-1]
