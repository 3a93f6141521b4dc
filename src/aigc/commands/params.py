"""`aigc params`: every key of params.yaml with its value, meaning, range and default."""

import argparse


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    params = commands.add_parser(
        "params", help="print every key of params.yaml: value, meaning, range, default",
        description="Print every key of params.yaml, or of one method with all that it shares with others: its value, unit "
                    "and meaning, range, the default (what is committed), and whether it was changed.")
    params.add_argument("method", nargs="?", metavar="METHOD", help="only this method's keys, resolved")
    params.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    return 0
