"""`aigc reconstruct`: pictures through a model's encoder and decoder, beside the originals."""

import argparse
from pathlib import Path

from aigc.commands import options
from aigc.workspace.root import PathOrName


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    reconstruct = commands.add_parser(
        "reconstruct", help="pictures through a model's encoder and decoder, beside the originals",
        description="Write each picture as encoder and decoder give it back, and a sheet of the "
                    "first 256 with the original at the left, as PNG files that name model and source; print "
                    "the error of each. For methods that reconstruct: autoencoder, transformer, vae.")
    reconstruct.add_argument("model", type=PathOrName, metavar="MODEL", help=options.ANY_MODEL_HELP)
    reconstruct.add_argument("pictures", nargs="+", type=Path, metavar="PICTURE",
                             help="files of any size, fitted as `preprocess` in params.yaml says")
    reconstruct.add_argument("--out", type=Path, required=True, metavar="DIR",
                             help="folder to write to; made when missing")
    reconstruct.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    switches = options.capped_arithmetic()
    from aigc.provenance import own_pictures

    return own_pictures.reconstruct(arguments.model, arguments.pictures, arguments.out, switches)
