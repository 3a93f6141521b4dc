"""`aigc export`: a trained model as a folder that programs without this project can use."""

import argparse
from pathlib import Path

from aigc.commands import options


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    export = commands.add_parser(
        "export", help="a trained model as a folder for others: weights, ONNX, model card",
        description="Write a trained model into a new folder: its weights as safetensors and its config. "
                    "--onnx adds what samples in one call as ONNX (a generator, a decoder, one step of a "
                    "flow's solver, the logits of the next token), each compared with torch, and a script "
                    "that makes pictures of them with numpy, onnxruntime and pillow alone. --card adds a "
                    "model card in Hugging Face's format, with samples. The folder is whole or absent.")
    options.add_method_or_model(export)
    export.add_argument("--to", type=Path, required=True, metavar="DIR", help="the folder to make")
    export.add_argument("--onnx", action="store_true", help="add the networks as ONNX, and load_onnx.py; "
                                                            "needs pip install -e .[export]")
    export.add_argument("--card", action="store_true", help="add the model card, README.md, and its pictures")
    export.add_argument("--force", action="store_true", help="replace a model that was exported there before")
    export.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    switches = options.capped_arithmetic()
    from aigc.exporting import folder

    folder.export(arguments.method, arguments.model, arguments.to, arguments.onnx, arguments.card,
                  arguments.force, switches)
    return 0
