"""What more than one command has."""

import argparse
import math
from pathlib import Path
from typing import TYPE_CHECKING

from aigc.workspace.root import PathOrName

if TYPE_CHECKING:
    from aigc.core.runtime import RuntimeConfig

STATED = object()  # `--tolerance` without a number
MODEL_HELP = "a model's folder, an MLflow run id, or models:/… or runs:/…"
ANY_MODEL_HELP = f"a method that was trained, {MODEL_HELP}"


def add_comparison(command: argparse.ArgumentParser) -> "argparse._MutuallyExclusiveGroup":
    """How to judge, where to work, how to print. Returns the group of options on how to judge."""
    how = command.add_mutually_exclusive_group()
    how.add_argument("--tolerance", type=_share, nargs="?", const=STATED, metavar="SHARE",
                     help="differing bytes pass when every metric is within SHARE of what it was, such as "
                          "0.1; without SHARE, within the tolerances of src/aigc/metrics/table.py")
    command.add_argument("--keep", type=Path, metavar="DIR",
                         help="work in DIR (must not exist) and leave it there")
    command.add_argument("--json", action="store_true", help="print the verdict as JSON")
    return how


def add_method_or_model(command: argparse.ArgumentParser) -> None:
    command.add_argument("method", nargs="?", metavar="METHOD",
                         help="a method that was trained; may be left out with --model")
    command.add_argument("--model", type=PathOrName, metavar="MODEL",
                         help=f"{MODEL_HELP} (default: models/METHOD)")


def capped_arithmetic() -> "RuntimeConfig":
    """The section `runtime` of params.yaml, in force from now on. Call before numpy or torch is imported."""
    from aigc.core import config, runtime

    switches = config.section("runtime", runtime.RuntimeConfig)
    runtime.cap_environment(switches.arithmetic, switches.threads)
    return switches


def add_trust(command: argparse.ArgumentParser) -> None:
    command.add_argument("--trust", type=Path, metavar="CA",
                         help="a PEM file with the certificates of CAs; a signature counts only when its "
                              "certificate comes from one of them")


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is no share; 0.1 means a tenth")
    return share


def tolerance(arguments: argparse.Namespace) -> tuple[bool, float | None]:
    """(whether metrics decide, the share on the command line or None for the stated tolerances)."""
    value = arguments.tolerance
    return value is not None, None if value is STATED else value


def add_postprocessing(command: argparse.ArgumentParser) -> None:
    """What is done to each picture after it was made."""
    steps = command.add_argument_group(
        "afterwards", "in this order, by Pillow; they stand in the picture, and `aigc whence` repeats them")
    steps.add_argument("--denoise", type=float, metavar="STRENGTH",
                       help="blend with the median of 3 x 3 pixels; above 0, and 1 is that median alone")
    steps.add_argument("--contrast", metavar="FACTOR",
                       help="times the distance from the mean shade, above 0 to 10; or `auto`: the darkest "
                            "pixel to black, the lightest to white")
    steps.add_argument("--upscale", type=int, metavar="2|4", help="so many times as wide and high (Lanczos)")


def postprocessing(arguments: argparse.Namespace) -> str:
    """The steps of `add_postprocessing` as a picture states them. Raises ConfigError."""
    from aigc.provenance import postprocess

    return postprocess.text_of(arguments.denoise, arguments.contrast, arguments.upscale)
