"""`aigc sync`: make MLflow's store hold a run for each model of dvc.lock."""

import argparse


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    sync = commands.add_parser(
        "sync",
        help="make MLflow's store hold what dvc.lock holds",
        description="DVC restores a stage from its run cache without running it, so that MLflow "
        "hears nothing. For each model of dvc.lock that has no run this makes one, marked as restored, with "
        "params, metrics, curves, samples and the model; and a run that a kill left RUNNING, though no "
        "process holds its lock, becomes KILLED. Doing it twice changes nothing.",
    )
    sync.set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    from aigc.tracking import sync

    return sync.run()
