"""`aigc compare`: two trained models side by side, and which differences between their numbers are real."""

import argparse
from pathlib import Path

from aigc.commands import options
from aigc.workspace.root import PathOrName


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    compare = commands.add_parser(
        "compare",
        help="two trained models: metrics with intervals, and which differences are real",
        description="Print the metrics of two models that were trained and evaluated, with 95%% intervals. "
        "A difference is real where the intervals do not overlap. A and B are methods, folders of models, "
        "MLflow run ids, or models:/… or runs:/…. Numbers of another extractor, n or test set are not "
        "compared.",
    )
    compare.add_argument("first", type=PathOrName, metavar="A", help="a method or a model")
    compare.add_argument("second", type=PathOrName, metavar="B", help="another one")
    compare.add_argument("--out", type=Path, metavar="FILE.png", help="write samples of both, side by side")
    compare.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    switches = options.capped_arithmetic()
    from aigc.reporting import comparison

    print(comparison.compare((arguments.first, arguments.second), arguments.out, switches))
    return 0
