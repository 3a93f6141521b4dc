"""`aigc params`: every key of params.yaml with its value, default, range and meaning."""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args, get_origin

ENDLESS = 10**12  # a bound that no user meets
BOUNDS = {"ge": "≥ {}", "gt": "> {}", "le": "≤ {}", "lt": "< {}", "multiple_of": "a multiple of {}"}


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    params = commands.add_parser(
        "params", help="print every key of params.yaml: value, default, range, meaning",
        description="Print every key of params.yaml, or of one section or method with all that it shares with others: its "
                    "value, the default (what git has committed), its range, unit and meaning. A key that was changed "
                    "since the commit is marked with *.")
    params.add_argument("section", nargs="?", metavar="METHOD", help="only the keys of this method or section")
    params.set_defaults(run=run)


@dataclass(frozen=True)
class Key:
    """One key. default: None where git has no value for it."""

    name: str
    value: Any
    default: Any
    range: str
    meaning: str

    @property
    def is_changed(self) -> bool:
        return self.default is not None and self.value != self.default


def run(arguments: argparse.Namespace) -> int:
    rows = [("key", "value", "default", "range", "meaning")]
    rows += [(key.name, f"{_yaml(key.value)}{' *' if key.is_changed else ''}",
              "" if key.default is None else _yaml(key.default), key.range, key.meaning) for key in keys(arguments.section)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for *columns, meaning in rows:
        print("  ".join([*(f"{text:<{width}}" for text, width in zip(columns, widths, strict=False)), meaning]).rstrip())
    return 0


def keys(wanted: str | None) -> Iterator[Key]:
    """The keys of the wanted section, or of all. Raises ConfigError where there is no such section, or a value is bad."""
    from ruamel.yaml import YAML

    from aigc import methods
    from aigc.core import config, paths
    from aigc.core.errors import ConfigError
    from aigc.params import SECTIONS, check
    from aigc.workspace import git

    content = config.read()
    check(content)
    committed = git.committed(paths.PARAMS)
    before = YAML(typ="safe", pure=True).load(committed) if committed else {}
    commented = YAML().load(paths.PARAMS)
    pages = methods.available()
    known = [name for name in content if name in SECTIONS or name in pages]
    if wanted is not None and wanted not in known:
        raise ConfigError(f"no section `{wanted}` in {paths.PARAMS}{config.did_you_mean(wanted, known)}")
    for name in known if wanted is None else [wanted]:
        kind = methods.config_class(name) if name in pages else SECTIONS[name]
        yield from _of_section(name, kind, content[name], before.get(name, {}), commented[name])


def _of_section(prefix: str, kind: Any, values: Any, before: Any, commented: Any) -> Iterator[Key]:
    for key, field in kind.model_fields.items():
        if key not in values:
            continue
        name, default = f"{prefix}.{key}", before.get(key)
        if isinstance(values[key], dict):
            yield from _of_section(name, field.annotation, values[key], default or {}, commented[key])
        else:
            yield Key(name, values[key], default, _range(field.annotation, field.metadata), _comment(commented, key))


def _range(annotation: Any, metadata: list[Any]) -> str:
    """What a value may be, as text: bounds, or the words to choose from."""
    if get_origin(annotation) is not None and annotation.__class__.__name__ == "_LiteralGenericAlias":
        return " | ".join(map(str, get_args(annotation)))
    bounds = [text.format(getattr(part, name)) for part in metadata for name, text in BOUNDS.items()
              if hasattr(part, name) and getattr(part, name) < ENDLESS]
    kind = annotation.__name__ if isinstance(annotation, type) else str(annotation).replace("typing.", "")
    return ", ".join([kind, *bounds])


def _comment(commented: Any, key: str) -> str:
    """The comment behind `key`, where it is stated: in the section itself, or in a block that it merges."""
    for place in (commented, *getattr(commented, "merge", [])):
        token = place.ca.items.get(key, [None] * 3)[2]
        if token is not None and (text := token.value.partition("\n")[0].lstrip("# ").strip()):
            return str(text)
    return ""


def _yaml(value: Any) -> str:
    return {True: "true", False: "false", "": '""'}.get(value, str(value)) if isinstance(value, bool | str) else str(value)
