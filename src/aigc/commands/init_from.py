"""`aigc init-from MODEL`: train a method from a trained model on, instead of from the start."""

import argparse
import shutil
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigc.commands import options
from aigc.workspace.root import PathOrName

if TYPE_CHECKING:
    from aigc.recipes import Change
    from aigc.training.parent import Parent


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    command = commands.add_parser(
        "init-from", help="train a method from a trained model on, instead of from the start",
        description="Copy MODEL to models/parents/NAME, under DVC, and write `METHOD.init_from: NAME` into "
                    "params.yaml; NAME is the hash of the model's card. The next training of its method "
                    "starts from its weights, so a fraction of METHOD.images may do. Pictures must have the "
                    "same size and channels; new classes are added to those that the model knows. The "
                    "lineage is in the model's card, in MLflow (param init_from, tag aigc.parent) and in "
                    "the report.")
    command.add_argument("model", nargs="?", type=PathOrName, metavar="MODEL",
                         help=options.ANY_MODEL_HELP)
    command.add_argument("--none", metavar="METHOD", help="train METHOD from the start again")
    command.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from aigc.core.errors import ConfigError

    if (arguments.model is None) == (arguments.none is None):
        raise ConfigError("aigc init-from: name a MODEL, or --none METHOD")
    if arguments.none is not None:
        _write(arguments.none, "", nullcontext())
        return 0
    options.capped_arithmetic()
    from aigc.core import config, files, paths
    from aigc.model.card import CONFIG, WEIGHTS, check_files, read_card
    from aigc.provenance import lookup
    from aigc.training.parent import Parent, name_of
    from aigc.workspace import added

    with lookup.any_trained(str(arguments.model)) as folder:
        card = read_card(folder)
        check_files(folder, card)
        parent = Parent(card, files.read_tensors(folder / WEIGHTS)[0])
        _check(parent, config.read())
        place = paths.parent(name_of(card))

        def fill(copy: Path) -> None:
            for name in (CONFIG, *card.files):
                shutil.copyfile(folder / name, copy / name)

        is_there = place.is_dir() and place.with_name(f"{place.name}.dvc").exists()
        _write(card.method, place.name, nullcontext() if is_there else
               added.with_dvc(place, fill, "delete what is not needed below models/parents"))
    print(f"{place}: the model of {card.method} (data {card.data_sha256[:16]}); DVC keeps it, and git has "
          f"{place}.dvc")
    return 0


def _check(parent: "Parent", content: dict[str, Any]) -> None:
    """Raises ConfigError where the parent does not fit what params.yaml says of its method and pictures."""
    import dataclasses

    import torch

    from aigc import methods
    from aigc.core import config
    from aigc.data.config import PreprocessConfig
    from aigc.model.contract import Shape

    pictures = config.section("preprocess", PreprocessConfig, content)
    shape = dataclasses.replace(Shape(**parent.card.shape), size=pictures.size, channels=pictures.channels)
    with torch.device("meta"):
        parent.build(methods.load_config(parent.card.method, content), shape, parent.card.classes)


def _write(method: str, name: str, around: AbstractContextManager[None]) -> None:
    """Set the key in params.yaml, in the block of `around`, and show the change."""
    from aigc import recipes
    from aigc.core import files, paths

    step = recipes.Step(reason="", set={f"{method}.init_from": name})
    text, changes = recipes.apply(recipes.Recipe(title="init-from", result="", steps=[step]))
    with around:
        files.write_bytes(paths.PARAMS, text.encode())
    _tell(method, changes)


def _tell(method: str, changes: "list[Change]") -> None:
    from aigc import methods
    from aigc.core import paths

    if not changes:
        print(f"{paths.PARAMS} says so already; nothing to change")
        return
    change, = changes
    print(f"{paths.PARAMS}: {change.key}: {change.before} -> {change.after}; `make repro` trains from there; "
          f"`{method}.images` is {methods.load_config(method).images}")
