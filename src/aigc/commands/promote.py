"""`aigc promote`: a trained model becomes the one to use, unless it failed its memorization audit."""

import argparse


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    promote = commands.add_parser(
        "promote",
        help="name a trained model as the one to use, in MLflow's registry",
        description="Register the model of METHOD (models/METHOD) and point models:/NAME@ALIAS at "
        "it, so that whoever serves that address serves this model. Refused where the model failed its "
        "memorization audit, or the audit on record is of another model. Doing it twice changes nothing.",
    )
    promote.add_argument("method", metavar="METHOD", help="a method that was trained and evaluated")
    promote.add_argument("--name", default="aigc", help="of the registered model (default aigc)")
    promote.add_argument("--alias", default="champion", help="of the version (default champion)")
    promote.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from aigc.core import paths
    from aigc.evaluation import model_identity
    from aigc.model.card import read_card
    from aigc.provenance import lookup
    from aigc.tracking import registry

    method, name, alias = arguments.method, arguments.name, arguments.alias
    with lookup.trained(method, None) as folder:
        card = read_card(folder)
    if paths.metrics(method).exists():
        model_identity.read_metrics(method, card)
    version, run_id = registry.promote(method, card.weights_sha256, name, alias, card.sha256)
    print(f"models:/{name}@{alias} is version {version}: {method} of run {run_id}")
    return 0
