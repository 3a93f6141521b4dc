"""The root of the project: the folder with dvc.yaml, here or above, as git and DVC find theirs."""

import argparse
import os
from pathlib import Path

from aigc.core.errors import ConfigError
from aigc.workspace.paths import PIPELINE


def find() -> Path | None:
    """The nearest folder with dvc.yaml, from the current one upwards; None where there is none."""
    here = Path.cwd()
    return next((folder for folder in (here, *here.parents) if (folder / PIPELINE).is_file()), None)


def enter(arguments: argparse.Namespace) -> None:
    """Go to the project's root. Paths on the command line still start at the folder where the user is.

    Raises ConfigError where there is no project, unless the command says that it needs none (`needs_project=False`).
    """
    found = find()
    if found is None:
        if getattr(arguments, "needs_project", True):
            raise ConfigError(f"{Path.cwd()}: no {PIPELINE} here or in a folder above; run inside a clone of the project")
        return
    if found == Path.cwd():
        return
    for name, value in vars(arguments).items():
        if isinstance(value, Path):
            setattr(arguments, name, value.absolute())
        elif isinstance(value, list):
            setattr(arguments, name, [part.absolute() if isinstance(part, Path) else part for part in value])
    os.chdir(found)
