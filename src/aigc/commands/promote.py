"""`aigc promote`: a trained model becomes the one to use, unless it failed its memorization audit."""

import argparse


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    promote = commands.add_parser(
        "promote", help="name a trained model as the one to use, in MLflow's registry",
        description="Register the model of METHOD (models/METHOD) and point models:/NAME@ALIAS at it, so that whoever "
                    "serves that address serves this model. Refused where the model failed its memorization audit. Doing "
                    "it twice changes nothing.")
    promote.add_argument("method", metavar="METHOD", help="a method that was trained and evaluated")
    promote.add_argument("--name", default="aigc", help="of the registered model (default aigc)")
    promote.add_argument("--alias", default="champion", help="of the version (default champion)")
    promote.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from aigc.model.card import read_card
    from aigc.provenance import lookup
    from aigc.tracking import registry

    name, alias = arguments.name, arguments.alias
    with lookup.trained(arguments.method, None) as folder:
        card = read_card(folder)
    version, run_id = registry.promote(card.weights_sha256, name, alias)
    print(f"models:/{name}@{alias} is version {version}: {arguments.method} of run {run_id}")
    return 0
