"""`aigc rollback`: the model that was the one to use before is it again."""

import argparse


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    rollback = commands.add_parser(
        "rollback",
        help="undo a promotion: the model that was used before is the one to use",
        description="Point models:/NAME@ALIAS at the version that it named before `aigc promote`. Done again "
        "it goes one step further back.",
    )
    rollback.add_argument("--name", default="aigc", help="of the registered model (default aigc)")
    rollback.add_argument("--alias", default="champion", help="of the version (default champion)")
    rollback.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from aigc.tracking import registry

    name, alias = arguments.name, arguments.alias
    restored = registry.rollback(name, alias)
    print(f"models:/{name}@{alias} is version {restored.version}, of run {restored.run_id}; "
          f"{restored.decision}")
    return 0
