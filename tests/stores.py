"""The project's MLflow stores, read by MLflow alone."""

from pathlib import Path

import mlflow
from mlflow.entities import Run

from projects import ROOT

CODE = {"PYTHONPATH": str(ROOT / "src")}


def client_of(project: Path) -> mlflow.MlflowClient:
    return mlflow.MlflowClient(f"sqlite:///{project / 'mlflow.db'}")


def runs_of(project: Path) -> dict[str, Run]:
    """The run of each method, the newest where there are several."""
    client = client_of(project)
    found = client.search_runs([client.get_experiment_by_name("aigc").experiment_id])
    return {run.data.tags["aigc.method"]: run for run in reversed(found)}
