"""`aigc generate`: pictures of a trained model, as files that name the model they come from."""

import argparse
from pathlib import Path

from aigc.commands import options

SETTINGS = [("steps", int, "steps of the solver"), ("solver", str, "euler, midpoint or heun"),
            ("guidance", float, "strength of the class"), ("temperature", float, "of each token's softmax"),
            ("top_k", int, "how many of the likeliest tokens can be drawn"),
            ("truncation", float, "factor on the distance of a style from the mean style"),
            ("mixed", int, "layers, finest first, with the style of a second latent")]


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    generate = commands.add_parser(
        "generate", help="pictures of a trained model, as files that name the model they come from",
        description="Write N pictures of a trained model, and a contact sheet of the first 256, as "
                    "files whose texts name model, method, seed, index, label and training data, and the "
                    "labels for AI-generated media of IPTC and GB 45438-2025. Picture i is the same bytes "
                    "however many are asked for. A file that is another picture is never written over.")
    options.add_method_or_model(generate)
    generate.add_argument("--n", type=int, help="how many pictures, 1 or more (default 64)")
    generate.add_argument("--seed", type=int, default=0, help="0 to 2^32 - 1 (default 0)")
    generate.add_argument("--out", type=Path, required=True, metavar="DIR",
                          help="folder to write to; made when missing")
    generate.add_argument("--class", dest="class_name", metavar="C",
                          help="of one class, by name or index (default: every class in turn)")
    generate.add_argument("--source", nargs="+", type=Path, default=[], metavar="PICTURE",
                          help="the files to translate to --class, of a method that translates, such as "
                               "cyclegan; fitted as `preprocess` says, one picture is made of each")
    generate.add_argument("--format", choices=("png", "jpeg", "webp", "npy", "grid"), default="png",
                          help="jpeg and webp lose detail; npy: one array and its texts as .json; grid: the "
                               "contact sheet alone (default png)")
    generate.add_argument("--quality", type=int, help="of jpeg and webp, 1 to 100 (default 95)")
    generate.add_argument("--mark", choices=("zh", "en"), default="",
                          help="write AI生成 or AI-generated into a corner; under a contact sheet, below it")
    generate.add_argument("--sign", nargs=2, type=Path, metavar=("KEY", "CERT"),
                          help="add a signed C2PA manifest; PEM files of a private key and of its "
                               "certificate chain")
    for name, kind, meaning in SETTINGS:
        generate.add_argument(f"--{name.replace('_', '-')}", type=kind,
                              help=f"{meaning}, of a method that lets it be chosen "
                                   "(default: the model's own)")
    options.add_postprocessing(generate)
    generate.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    processed = options.postprocessing(arguments)
    switches = options.capped_arithmetic()
    from aigc.provenance import drawing
    from aigc.provenance.output import Output
    from aigc.provenance.signing import Signer

    signer = Signer(*arguments.sign) if arguments.sign else None
    output = Output(arguments.format, arguments.quality, arguments.mark, signer, processed)
    settings = {name: str(value) for name, *_ in SETTINGS
                if (value := getattr(arguments, name)) is not None}
    return drawing.write_pictures(arguments.method, arguments.model, arguments.n, arguments.seed,
                                  arguments.out, arguments.class_name, switches, settings,
                                  arguments.source, output)
