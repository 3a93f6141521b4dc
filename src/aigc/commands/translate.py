"""`aigc translate`: pictures translated to a class, beside the originals."""

import argparse
from pathlib import Path

from aigc.commands import options
from aigc.workspace.root import PathOrName


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    translate = commands.add_parser(
        "translate", help="pictures translated to a class, beside the originals",
        description="Write the translation of each picture, the same file that `aigc generate --source` "
                    "writes, and a sheet of the first 256 with the original at the left. For methods that "
                    "translate: cyclegan.")
    translate.add_argument("model", type=PathOrName, metavar="MODEL", help=options.ANY_MODEL_HELP)
    translate.add_argument("pictures", nargs="+", type=Path, metavar="PICTURE",
                           help="files of any size, fitted as `preprocess` in params.yaml says")
    translate.add_argument("--class", dest="class_name", metavar="C",
                           help="the class to translate to, by name or index")
    translate.add_argument("--out", type=Path, required=True, metavar="DIR",
                           help="folder to write to; made when missing")
    options.add_postprocessing(translate)
    translate.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    processed = options.postprocessing(arguments)
    switches = options.capped_arithmetic()
    from aigc.provenance import own_pictures

    return own_pictures.translate(arguments.model, arguments.pictures, arguments.class_name, arguments.out,
                                  switches, processed)
