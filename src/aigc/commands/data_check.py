"""`aigc data check`: what the pipeline would make of some pictures, before anything is changed."""

import argparse
from pathlib import Path


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    data = commands.add_parser("data", help="look at pictures before they are trained on",
                               description="What concerns the pictures that go in. `aigc data check PATH` "
                                           "says whether a folder, a table or an array of your own would "
                                           "get through the pipeline, and changes nothing.")
    actions = data.add_subparsers(title="commands", metavar="COMMAND", required=True)
    check = actions.add_parser(
        "check", help="say what the pipeline would make of PATH",
        description="Run ingest and validation alone on PATH, under the thresholds of params.yaml, and say "
                    "what they would do: which pictures are used, which are quarantined and why, which "
                    "expectations fail or warn. Nothing in the project changes. Exit 0: ready to train "
                    "(warnings allowed); 1: not.")
    check.add_argument("path", type=Path, metavar="PATH",
                       help="a folder of pictures (a sub-folder a class), a .csv table of paths and labels, "
                            "a .npy array, or a folder with IDX files, images.npy or CIFAR-10's archive")
    check.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from aigc.core import config, process, runtime

    switches = config.section("runtime", runtime.RuntimeConfig)
    runtime.cap_environment(switches.arithmetic, switches.threads)
    from aigc import methods
    from aigc.data import check

    return check.run(arguments.path, process.cores(), lambda: methods.needing_classes(config.methods()))
