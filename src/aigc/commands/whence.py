"""`aigc whence`: whether a picture is what it says it is, found out by generating it again."""

import argparse
from pathlib import Path

from aigc.commands import options
from aigc.workspace.root import PathOrName


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    whence = commands.add_parser(
        "whence", help="whether a picture is what it says it is, by generating it again",
        description="Read what each picture says of itself, find its model (models/, then MLflow, by its "
                    "hashes), generate the picture again, and say: identical, differs, no such model, "
                    "no such source, metadata stripped, or forged; and whether it is signed. Exit 0 only "
                    "when all are identical, and no signature is broken or was removed.")
    whence.add_argument("images", nargs="+", type=Path, metavar="IMAGE", help="files of `aigc generate`")
    whence.add_argument("--model", type=PathOrName, metavar="MODEL",
                        help=f"compare the pictures with this model: {options.MODEL_HELP}")
    whence.add_argument("--source", nargs="+", type=Path, default=[], metavar="PICTURE",
                        help="the files that were translated, of pictures of a method that translates")
    options.add_trust(whence)
    whence.add_argument("--json", action="store_true", help="print the verdicts as JSON")
    whence.set_defaults(run=run, needs_project=False)


def run(arguments: argparse.Namespace) -> int:
    from aigc.core import runtime
    from aigc.provenance import examination

    findings = examination.read(arguments.images)
    switches = examination.switches_of(findings)
    runtime.cap_environment(switches.arithmetic, switches.threads)
    return examination.run(findings, arguments.model, switches, arguments.json, arguments.source,
                           arguments.trust)
