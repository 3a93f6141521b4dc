"""Models that MLflow keeps: found by weights or by name, read as files, never executed."""

import re
from pathlib import Path

import mlflow
from mlflow.entities import LoggedModelStatus

from aigc.core.errors import AigcError
from aigc.model.card import CONFIG, WEIGHTS
from aigc.tracking import finished, store

RUN_ID = re.compile(r"[0-9a-f]{32}")
SCHEMES = ("models:/", "runs:/", "mlflow-artifacts:/")


def is_name(text: str) -> bool:
    """Whether `text` is a run id or a URI of MLflow's, rather than a path."""
    return bool(RUN_ID.fullmatch(text)) or text.startswith(SCHEMES)


def download(name: str, into: Path) -> Path:
    """The folder (weights, card) that a run id or URI names, copied below `into`. Raises AigcError."""
    client, _ = store.open_store()
    try:
        uri = f"models:/{model_of(client, name)}" if RUN_ID.fullmatch(name) else name
        copied = Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(into)))
    except (mlflow.exceptions.MlflowException, OSError) as error:
        place = store.shown(store.store_uri())
        raise AigcError(
            f"{name}: the MLflow store {place} cannot give it ({store.shown(error)})"
        ) from store.cause(error)
    folders = [path.parent for path in copied.rglob(CONFIG) if (path.parent / WEIGHTS).exists()]
    if len(folders) != 1:
        raise AigcError(f"{name}: holds no {CONFIG} beside a {WEIGHTS}; name a model that `train` logged")
    return folders[0]


def model_of(client: mlflow.MlflowClient, run_id: str) -> str:
    """The id of the newest whole model that a run logged."""
    outputs = client.get_run(run_id).outputs
    found = [client.get_logged_model(output.model_id) for output in outputs.model_outputs] if outputs else []
    whole = [logged for logged in found if logged.status == LoggedModelStatus.READY]
    if not whole:
        raise AigcError(f"run {run_id} has logged no model; its training did not end")
    return str(max(whole, key=lambda logged: logged.creation_timestamp).model_id)


@store.errors()
def runs_with(weights_sha256: str) -> list[str]:
    """Ids of the finished runs of these weights, newest first; none without a store. Makes no store."""
    database = store.sqlite_path(store.store_uri())
    if database is not None and not database.exists():
        return []
    client, experiment = store.open_store()
    return [run.info.run_id for run in finished.of_weights(client, experiment, weights_sha256)]
