"""`aigc interpolate`: the way between two samples of a trained model, or between two pictures."""

import argparse
from pathlib import Path

from aigc.commands import options
from aigc.workspace.root import PathOrName

USUAL_STEPS = 16


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    interpolate = commands.add_parser(
        "interpolate", help="the way between two samples, or two pictures: a row, a GIF or an animated PNG",
        description="Write the pictures on the way between the first samples of two seeds, or between two "
                    "pictures where the method can encode them (autoencoder, vae). The ends are what "
                    "`aigc generate --n 1`, or `aigc reconstruct`, makes, byte for byte.")
    interpolate.add_argument("model", type=PathOrName, metavar="MODEL", help=options.ANY_MODEL_HELP)
    interpolate.add_argument("--from", dest="start", type=int, metavar="SEED",
                             help="seed of the first sample, 0 to 2^32 - 1 (default 0)")
    interpolate.add_argument("--to", dest="end", type=int, metavar="SEED",
                             help="seed of the last sample (default: the one after --from)")
    interpolate.add_argument("--pictures", nargs=2, type=Path, default=[], metavar=("A", "B"),
                             help="between these files instead, fitted as `preprocess` says")
    interpolate.add_argument("--steps", type=int, default=USUAL_STEPS, metavar="N",
                             help=f"how many pictures, both ends included, 2 to 256 (default {USUAL_STEPS})")
    interpolate.add_argument("--class", dest="class_name", metavar="C",
                             help="of one class, by name or index (default: the first)")
    interpolate.add_argument("--loop", action="store_true", help="there and back")
    interpolate.add_argument("--out", type=Path, required=True, metavar="FILE",
                             help="FILE.png: a row; FILE.gif; FILE.apng: an animated PNG, with all colours")
    options.add_postprocessing(interpolate)
    interpolate.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from aigc.core.errors import ConfigError

    if arguments.pictures and (arguments.start, arguments.end) != (None, None):
        raise ConfigError("--pictures and --from or --to: name two pictures or two seeds, not both")
    processed = options.postprocessing(arguments)
    start = arguments.start or 0
    end = start + 1 if arguments.end is None else arguments.end
    switches = options.capped_arithmetic()
    from aigc.provenance import interpolation

    return interpolation.write(arguments.model, (start, end), arguments.pictures, arguments.steps,
                               arguments.class_name, arguments.out, arguments.loop, switches, processed)
