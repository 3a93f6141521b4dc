"""The root of the project: the folder with dvc.yaml, here or above, as git and DVC find theirs."""

import argparse
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from aigc.core import paths
from aigc.core.errors import ConfigError
from aigc.workspace.paths import PIPELINE

RUNS_OUR_STAGES = b"aigc.stages"  # stands in our dvc.yaml and in no other project's


class PathOrName(str):
    """An argument that is a path where such a file exists, else a name."""


def find() -> Path | None:
    """The nearest folder with dvc.yaml, from the current one upwards; None where there is none."""
    return next((folder for folder in _upwards() if (folder / PIPELINE).is_file()), None)


def _upwards() -> Iterator[Path]:
    """The current folder and those above it; then those above it in $PWD, which keeps symbolic links."""
    here = Path.cwd()
    yield from (here, *here.parents)
    shown = Path(os.environ.get("PWD") or here)
    if shown.is_absolute() and shown.exists() and shown.samefile(here):
        yield from shown.parents


def enter(arguments: argparse.Namespace) -> None:
    """Go to the project's root. Paths on the command line still start at the folder where the user is.

    Raises ConfigError where there is no project, unless the command needs none (`needs_project=False`).
    """
    found = find()
    problem = "" if found and is_project(found) else _why_none(found)
    if found is None or problem:
        if getattr(arguments, "needs_project", True):
            raise ConfigError(f"{problem}; run inside a clone of the project")
        return
    if found.samefile(Path.cwd()):
        return
    for name, value in vars(arguments).items():
        is_list = isinstance(value, list)
        setattr(arguments, name, [_absolute(part) for part in value] if is_list else _absolute(value))
    os.chdir(found)
    print(f"in {found}:", file=sys.stderr)  # what follows names files from there


def is_project(folder: Path) -> bool:
    """Whether `folder` holds our dvc.yaml and params.yaml."""
    written = (folder / PIPELINE).is_file() and (folder / paths.PARAMS).is_file()
    return written and RUNS_OUR_STAGES in (folder / PIPELINE).read_bytes()


def _why_none(found: Path | None) -> str:
    if found is None:
        return f"{Path.cwd()}: no {PIPELINE} here or in a folder above"
    if not (found / paths.PARAMS).is_file():
        return f"{found}: has {PIPELINE} and no {paths.PARAMS}"
    return f"{found / PIPELINE}: of another project, it runs no stage of ours"


def _absolute(value: Any) -> Any:
    if isinstance(value, Path):
        return value.absolute()
    if isinstance(value, PathOrName) and Path(value).exists():
        return PathOrName(Path(value).absolute())
    return value
