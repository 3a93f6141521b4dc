"""`aigc evaluate`: the pipeline's metrics for pictures that the pipeline did not make."""

import argparse
from pathlib import Path
from typing import get_args

from aigc.features.names import ExtractorName


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    evaluate = commands.add_parser(
        "evaluate", help="judge any pictures against real ones: FID, KID, IS, precision, recall, density, "
                         "coverage",
        description="Judge pictures that any model made. PATH is a folder of pictures or an array of uint8 "
                    "(N, C, H, W), (N, H, W, C) or (N, H, W) in a .npy or .npz. Prints each metric with "
                    "its 95% interval and its floor: other real pictures against the same real ones, at "
                    "the same n. In a project, the sections `runtime` and `evaluate` of its params.yaml "
                    "hold.")
    evaluate.add_argument("--real", type=Path, required=True, metavar="PATH", help="real pictures")
    evaluate.add_argument("--fake", type=Path, required=True, metavar="PATH",
                          help="generated pictures, of the same size")
    evaluate.add_argument("--extractor", choices=get_args(ExtractorName), metavar="NAME",
                          help="classifier: this project's models/evaluator | inception: InceptionV3 of "
                               "the published protocol | "
                               f"{' | '.join(get_args(ExtractorName)[2:])}: published networks")
    evaluate.add_argument("--weights", type=Path, metavar="FILE",
                          help="the weights of a published network, by default of inception (default: "
                               "torch's cache, else a download)")
    evaluate.add_argument("--n", type=int, metavar="N",
                          help="sample size, 40 or more (default: half of the real pictures, the rest is "
                               "the floor, or all fake ones if these are fewer)")
    evaluate.add_argument("--ruler", action="store_true",
                          help="measure blurred real pictures too, and say which blur is as far from real "
                               "pictures; needs twice n real ones, and twice the time")
    evaluate.add_argument("--json", action="store_true",
                          help="print JSON: metrics and the protocol that repeats them")
    evaluate.set_defaults(run=run, needs_project=False)


def run(arguments: argparse.Namespace) -> int:
    from aigc.core import config, runtime
    from aigc.workspace import root

    content = config.read() if root.is_project(Path.cwd()) else {}
    switches = (config.section("runtime", runtime.RuntimeConfig, content) if content
                else runtime.RuntimeConfig())
    runtime.cap_environment(switches.arithmetic, switches.threads)
    from aigc.evaluation import any_pictures
    from aigc.evaluation.config import EvaluateConfig
    from aigc.provenance.texts import is_contact_sheet

    settings = config.section("evaluate", EvaluateConfig, content) if content else EvaluateConfig()
    changes = {"extractor": arguments.extractor or ("inception" if arguments.weights else None),
               "extractor_weights": str(arguments.weights) if arguments.weights else None}
    settings = settings.model_copy(update={key: value for key, value in changes.items() if value is not None})
    return any_pictures.run(arguments.real, arguments.fake, settings,
                            runtime.start_torch(switches.arithmetic, switches.threads), arguments.n,
                            arguments.json,
                            is_contact_sheet, arguments.ruler)
