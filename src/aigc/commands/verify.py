"""`aigc verify`: the committed results made again in a clean clone, and compared."""

import argparse
from pathlib import Path

from aigc.commands import options


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    verify = commands.add_parser(
        "verify", help="make the committed results again in a clean clone and compare",
        description="Clone HEAD into a temporary folder, run `dvc repro --force` there with the clone's "
                    "own code, and compare its dvc.lock with the committed one, stage by stage. Exit 0: "
                    "identical, or within the tolerance that was asked for.")
    verify.add_argument("--method", action="append", default=[], metavar="NAME",
                        help="only this method's metrics and all that they need")
    verify.add_argument("--stage", action="append", default=[], metavar="NAME",
                        help="only this stage of dvc.yaml and all that it needs")
    verify.add_argument("--summary", type=Path, metavar="FILE",
                        help="also append the verdict to FILE as a Markdown table")
    options.add_comparison(verify).add_argument(
        "--tolerance-elsewhere", action="store_true",
        help="as --tolerance without SHARE, with a warning that names both, but only on another CPU model "
             "than the one the lock was made on")
    verify.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from aigc.reproduction import verification

    request = verification.Request(tuple(arguments.method), tuple(arguments.stage),
                                   *options.tolerance(arguments), arguments.tolerance_elsewhere)
    return verification.run(request, arguments.keep, arguments.json, arguments.summary)
