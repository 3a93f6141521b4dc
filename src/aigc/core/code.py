"""Which source files a stage runs: what dvc.yaml lists and what a training's fingerprint hashes.

Read from the imports. The files are parsed, never imported: what is loaded already does not matter.
"""

import ast
import functools
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from aigc.core import files, paths

SOURCE = Path(__file__).resolve().parent.parent.parent  # the folder that holds the package
# Modules that cannot change an out: observers of a stage, errors, processes and locks.
NEUTRAL = ("aigc.core.code", "aigc.core.errors", "aigc.core.process", "aigc.core.sharing",
           "aigc.core.version", "aigc.tracking", "aigc.training.launch", "aigc.training.observer",
           "aigc.training.progress")


def of_stage(stage: str, method: str | None = None) -> dict[str, Path]:
    """{module: file} of what `python -m aigc.stages STAGE [METHOD]` runs and could change its outs."""
    start = ["aigc.stages.__main__", f"aigc.stages.{stage}"]
    return closure(*start, *([f"aigc.methods.{method}"] if method else []))


def closure(*modules: str) -> dict[str, Path]:
    """{module: file} of `modules` and of all modules of ours that they import, except NEUTRAL ones."""
    found: dict[str, Path] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        path = _file_of(name)
        if name in found or path is None or _is_neutral(name):
            continue
        found[name] = path
        waiting += [*_imports(path), *([name.rpartition(".")[0]] if "." in name else [])]
    return {name: path for name, path in sorted(found.items()) if not _is_only_a_docstring(path)}


def fingerprint(stage: str, method: str | None, params: Mapping[str, Any],
                deps: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """The identity of a training: (sha256, what was hashed): its params, deps, code and requirements.lock."""
    identity = {"params": dict(params), "deps": dict(deps), "code": hashes(of_stage(stage, method)),
                "requirements": files.sha256(paths.REQUIREMENTS)}
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest(), identity


def hashes(modules: Mapping[str, Path]) -> dict[str, str]:
    """{module: sha256 of its file}."""
    return {name: files.sha256(path) for name, path in modules.items()}


def _is_neutral(module: str) -> bool:
    return module == "aigc.stages" or any(module == name or module.startswith(f"{name}.") for name in NEUTRAL)


def _file_of(module: str) -> Path | None:
    place = SOURCE.joinpath(*module.split("."))
    return next((path for path in (place / "__init__.py", place.with_suffix(".py")) if path.is_file()), None)


@functools.cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_bytes())


def _is_only_a_docstring(path: Path) -> bool:
    body = _tree(path).body
    return not body or (len(body) == 1 and isinstance(body[0], ast.Expr))


@functools.cache
def _imports(path: Path) -> list[str]:
    """The names in the imports of one file, without those under TYPE_CHECKING."""
    waiting: list[ast.AST] = [_tree(path)]
    found = []
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            waiting += node.orelse
        elif isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            waiting += ast.iter_child_nodes(node)
    return found
