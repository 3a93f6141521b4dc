"""`aigc promote`: a trained model becomes the one to use, if it passed its audit and is better."""

import argparse


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    promote = commands.add_parser(
        "promote",
        help="name a trained model as the one to use, in MLflow's registry",
        description="Register the model of METHOD (models/METHOD) and point models:/NAME@ALIAS at "
        "it, so that whoever serves that address serves this model. Refused where the model failed its "
        "memorization audit, where the audit on record is of another model, and where its FID is not "
        "better than that of the model there: the intervals must not overlap. The decision is kept as tags "
        "of the version. Doing it twice changes nothing.",
    )
    promote.add_argument("method", metavar="METHOD", help="a method that was trained and evaluated")
    promote.add_argument("--name", default="aigc", help="of the registered model (default aigc)")
    promote.add_argument("--alias", default="champion", help="of the version (default champion)")
    promote.add_argument("--force", default="", metavar="REASON",
                         help="promote a model that is not measurably better; the reason is kept")
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
    promoted = registry.promote(method, card.weights_sha256, name, alias, card.sha256, arguments.force)
    print(f"models:/{name}@{alias} is version {promoted.version}: {method} of run {promoted.run_id}; "
          f"{promoted.decision}")
    return 0
