"""`aigc publish`: a trained model, with its card and ONNX files, sent to the Hugging Face Hub."""

import argparse

from aigc.commands import options


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    publish = commands.add_parser(
        "publish", help="send a trained model with its card to the Hugging Face Hub",
        description="Export a trained model as `aigc export --onnx --card` does, and send the folder to the "
                    "Hugging Face Hub (HF_ENDPOINT names another one) as one commit. Refused where the model "
                    "failed its memorization audit or was not audited, where its training pictures state no "
                    "licence, and where another model has the name. The token is that of huggingface_hub: "
                    "HF_TOKEN, or `hf auth login`. Needs pip install -e .[export,publish].")
    options.add_method_or_model(publish)
    publish.add_argument("--repo", required=True, metavar="OWNER/NAME", help="its name on the hub")
    publish.add_argument("--private", action="store_true", help="for its owner alone, where the name is new")
    publish.add_argument("--dry-run", action="store_true", help="show what would be sent, and send nothing")
    publish.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    switches = options.capped_arithmetic()
    from aigc.exporting import hub

    hub.publish(arguments.method, arguments.model, arguments.repo, arguments.dry_run, arguments.private,
                switches)
    return 0
