"""`aigc reproduce`: one MLflow run made again from what it recorded."""

import argparse

from aigc.commands import options


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    reproduce = commands.add_parser(
        "reproduce", help="make one MLflow run again and compare weights and metrics",
        description="Make a git worktree at the commit of an MLflow run, apply the uncommitted changes "
                    "that the run recorded, put its params there, compare its environment with this one, "
                    "train again, and compare weights and metrics. The run may be in mlflow.db, in one "
                    "that came from another machine, or on the server that MLFLOW_TRACKING_URI names.")
    reproduce.add_argument("run_id", metavar="RUN_ID", help="the id on the run's page in MLflow")
    options.add_comparison(reproduce)
    reproduce.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from aigc.reproduction import rerun

    return rerun.run(arguments.run_id, *options.tolerance(arguments), arguments.keep, arguments.json)
