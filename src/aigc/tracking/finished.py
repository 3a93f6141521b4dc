"""Runs that have ended: found by id or by their weights, read, and completed with their evaluation."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote

import mlflow
from mlflow.entities import Metric, Run, RunTag
from mlflow.exceptions import MlflowException

from aigc.core.errors import AigcError
from aigc.tracking import store, views

SOURCE = "source"  # what a run was made from, among its artifacts: params, lock, requirements, patch
WEIGHTS, CARD = "aigc.weights_sha256", "aigc.card_sha256"


@store.errors()
def read_run(run_id: str) -> tuple[mlflow.MlflowClient, Run]:
    """One run of the store. Raises AigcError when the store has none of this id."""
    client, _ = store.open_store()
    try:
        return client, client.get_run(run_id)
    except MlflowException as error:
        if error.error_code not in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            raise
        raise AigcError(
            f"the MLflow store {store.shown(store.store_uri())} has no run {run_id}; "
            "`aigc ui` shows the runs, MLFLOW_TRACKING_URI names another store"
        ) from None


def artifacts(client: mlflow.MlflowClient, run: Run, name: str, scratch: Path) -> Path:
    """A folder among the artifacts of `run`, such as SOURCE. Downloaded to `scratch` unless it is here.

    A store that came from another machine names folders of that machine; its artifacts are beside the
    database all the same.
    """
    database, run_id = store.sqlite_path(store.store_uri()), run.info.run_id
    _, ours, inside = run.info.artifact_uri.rpartition("/mlruns/")
    if database is not None and ours:
        beside = database.resolve().parent / "mlruns" / unquote(inside) / name
        if beside.is_dir():
            return beside
    try:
        return Path(client.download_artifacts(run_id, name, str(scratch)))
    except (MlflowException, OSError):
        raise AigcError(
            f"run {run_id}: its artifacts are not at {store.shown(run.info.artifact_uri)} nor beside the "
            "database; copy mlruns/ from where it was made"
        ) from None


def of_weights(client: mlflow.MlflowClient, experiment: str, weights_sha256: str, card_sha256: str = "",
               status: str = "FINISHED") -> list[Run]:
    """The runs with this status that trained these weights, newest first.

    card_sha256: leaves out runs of a model with another card, which samples otherwise from equal weights.
    """
    condition = f"tags.`{WEIGHTS}` = '{weights_sha256}' and attributes.status = '{status}'"
    found = store.runs(client, experiment, condition, ["attributes.start_time DESC"])
    return [run for run in found if not card_sha256 or run.data.tags.get(CARD, card_sha256) == card_sha256]


def add_metrics(client: mlflow.MlflowClient, experiment: str, weights_sha256: str, card_sha256: str,
                metrics: Mapping[str, float], artifacts: list[Path], tags: Mapping[str, str],
                stamp: int) -> bool:
    """Add final numbers (flat), files and tags to the run that trained this model; False when there is none.

    The tags come last, so that a run that has them has all.
    """
    run = next(iter(of_weights(client, experiment, weights_sha256, card_sha256)), None)
    if run is None:
        return False
    for path in artifacts:
        client.log_artifact(run.info.run_id, str(path), "evaluation")
    client.log_batch(run.info.run_id,
                     metrics=[Metric(name, value, stamp, 0) for name, value in metrics.items()],
                     tags=[RunTag(key, value) for key, value in tags.items()])
    return True


@dataclass(frozen=True)
class Finished:
    """One finished run. recipe: what it shares with other seeds. started: milliseconds since 1970."""

    run_id: str
    method: str
    recipe: str
    protocol: str
    started: int
    params: dict[str, str]
    metrics: dict[str, float]


    @classmethod
    def of(cls, run: Run) -> "Finished":
        """What a run of the store says of itself."""
        tags = run.data.tags
        return cls(run.info.run_id, tags.get("aigc.method", "?"), tags.get("aigc.recipe", run.info.run_id),
                   tags.get(views.PROTOCOL, ""), run.info.start_time, run.data.params, run.data.metrics)


@store.errors()
def every() -> list[Finished]:
    """All finished runs of our experiment whose numbers are of the weights that they trained."""
    client, experiment = store.open_store()
    found = store.runs(client, experiment, "attributes.status = 'FINISHED'")
    return [Finished.of(run) for run in found
            if run.data.tags.get(views.EVALUATED) in (None, run.data.tags.get(WEIGHTS))]


@store.errors()
def evaluated(name: str, weights_sha256: str, card_sha256: str) -> Finished:
    """The newest run that trained and evaluated this model. Raises AigcError, with `name`, without one."""
    client, experiment = store.open_store()
    for run in of_weights(client, experiment, weights_sha256, card_sha256):
        if run.data.tags.get(views.EVALUATED) == weights_sha256:
            return Finished.of(run)
    raise AigcError(f"{name}: the MLflow store has no evaluated run of this model; `dvc repro "
                    "evaluate@METHOD` evaluates it, then `aigc sync`")
