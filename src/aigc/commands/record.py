"""`aigc record`: note on which machine dvc.lock was made."""

import argparse


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    record = commands.add_parser(
        "record", help="note on which machine dvc.lock was made",
        description="Write lock_origin.json: which machine made the dvc.lock that lies here. `make repro` "
                    "does it; `aigc verify` reads it. Nothing is written when dvc.lock is still the one on "
                    "record.")
    record.set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    from aigc.reproduction import origin

    return origin.record()
