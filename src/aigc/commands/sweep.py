"""`aigc sweep`: many trainings of one method over a space of settings, on Optuna."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from aigc.workspace.root import PathOrName

if TYPE_CHECKING:
    from aigc.sweep import study
    from aigc.sweep.space import Space

VIEWS = ("status", "best", "page")


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    sweep = commands.add_parser(
        "sweep", help="many trainings over a space of settings, on several workers",
        description="Try settings of a method. SPACE.yaml names the keys of params.yaml, their ranges and "
                    "the objectives (docs/scaling.md has one); it is checked before anything runs. The same "
                    "command on another terminal or host, with the same --storage, joins the sweep. A trial "
                    "whose worker is killed is run again and resumes. `aigc sweep status`: how far it is; "
                    "`aigc sweep best`: the best settings; `aigc sweep page`: plots.")
    sweep.add_argument("what", type=PathOrName, metavar="SPACE.yaml", help="the space; or status, best, page")
    sweep.add_argument("name", nargs="?", metavar="NAME",
                       help="status, best, page: of this sweep; default: the only one")
    sweep.add_argument("--trials", type=int, metavar="N",
                       help="trials of the whole sweep; default: as many as it has, 20 for a new one, the "
                            "whole of a grid")
    sweep.add_argument("--workers", type=int, default=1, metavar="K",
                       help="workers to start here; default: 1")
    sweep.add_argument("--storage", metavar="URL",
                       help="the database, as postgresql://USER@HOST/NAME; default: AIGC_SWEEP_STORAGE, else "
                            "a SQLite file below .checkpoints, for one worker")
    sweep.add_argument("--retry", action="store_true", help="run failed trials again")
    sweep.add_argument("--write", action="store_true", help="best: put it into params.yaml")
    sweep.add_argument("--trial", type=int, metavar="N", help="best: this trial instead of the best one")
    sweep.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from aigc.core.errors import ConfigError

    try:
        import optuna  # noqa: F401
    except ImportError:
        raise ConfigError("aigc sweep needs optuna; pip install -e .[sweep]") from None
    what = str(arguments.what)
    if what in VIEWS:
        return _view(what, arguments)
    if arguments.name or arguments.write or arguments.trial is not None:
        raise ConfigError(f"aigc sweep {what}: NAME, --write and --trial go with {', '.join(VIEWS)}")
    from aigc.sweep import run as sweeping

    return sweeping.run(Path(what), arguments.trials, arguments.workers, arguments.storage, arguments.retry)


def _view(what: str, arguments: argparse.Namespace) -> int:
    from aigc.sweep import report, storage, study

    with storage.opened(storage.address(arguments.storage)) as opened:
        if what == "status":
            known = study.names(opened) if arguments.name is None else [arguments.name]
            for name in known or [None]:
                found = study.find(opened, name)
                print(report.status(found, report.space_of(found)))
            return 0
        found = study.find(opened, arguments.name)
        space = report.space_of(found)
        if what == "page":
            print(report.write_page(found, space))
            return 0
        return _best(study.outcomes(found, space), space, arguments)


def _best(found: "list[study.Outcome]", space: "Space", arguments: argparse.Namespace) -> int:
    """Print the best trials, and what the chosen one changes in params.yaml; write it where that is asked."""
    import difflib

    from aigc import recipes
    from aigc.core import files, paths
    from aigc.core.errors import GateError
    from aigc.sweep import report, study

    front = study.best(found, space)
    if arguments.trial is not None:
        front = [one for one in found if one.index == arguments.trial]
    if not front:
        which = "no trial that passes the audit" if arguments.trial is None else f"no trial {arguments.trial}"
        raise GateError(f"{space.name}: {which} is complete; `aigc sweep status {space.name}` shows them")
    print(report.table(front, space))
    if len(front) > 1:
        if arguments.write:
            raise GateError(f"{space.name}: {len(front)} trials are best, each in its way; choose one with "
                            "--trial N")
        return 0
    step = recipes.Step(reason=f"sweep {space.name}, trial {front[0].index}", set=front[0].point)
    before = paths.PARAMS.read_bytes().decode()
    after, changes = recipes.apply(recipes.Recipe(title=space.name, result="", steps=[step]))
    if not changes:
        print(f"{paths.PARAMS} has these values already")
        return 0
    sys.stdout.writelines(difflib.unified_diff(before.splitlines(keepends=True),
                                               after.splitlines(keepends=True),
                                               str(paths.PARAMS), str(paths.PARAMS), n=0))
    if arguments.write:
        files.write_bytes(paths.PARAMS, after.encode())
        print(f"{paths.PARAMS}: {len(changes)} keys changed; `git checkout {paths.PARAMS}` undoes it, "
              "`make repro` takes what the trial made from DVC's cache")
    return 0
