"""`aigc relocate`: MLflow's store after its folder was moved."""

import argparse
from pathlib import Path


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    relocate = commands.add_parser(
        "relocate",
        help="mend MLflow's store after its folder was moved",
        description="mlflow.db and the MLmodel files in mlruns/ hold absolute paths. In the folder "
        "where both lie now, this replaces the place where they lay by the one where they lie, so that the "
        "UI and models:/… find their artifacts again.",
    )
    relocate.add_argument("folder", nargs="?", type=Path, default=Path(), metavar="DIR",
                          help="where mlflow.db lies (default: here)")
    relocate.set_defaults(run=run, needs_project=False)


def run(arguments: argparse.Namespace) -> int:
    from aigc.tracking import relocation

    return relocation.run(arguments.folder)
