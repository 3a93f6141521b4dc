"""Where MLflow keeps runs: the address of the store, and how it is opened or made."""

import logging
import os
import time
import warnings
from pathlib import Path

import mlflow
from mlflow.entities import LifecycleStage
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from aigc.core import files, paths, process
from aigc.core.errors import AigcError
from aigc.tracking import views

logging.getLogger("mlflow").setLevel(logging.WARNING)
warnings.filterwarnings("ignore", module="mlflow")

EXPERIMENT = "aigc"
TEMPORARY_CHECKOUTS = "/.dvc/tmp/exps/"
SQLITE = "sqlite:///"


def home() -> Path:
    """The checkout whose store is used: this one, or the one that started a temporary checkout of DVC's."""
    return Path(f"{Path.cwd()}/".partition(TEMPORARY_CHECKOUTS)[0])


def store_uri() -> str:
    """MLFLOW_TRACKING_URI, or mlflow.db at home; a relative path of SQLite's starts at home, whatever checkout asks."""
    uri = os.environ.get("MLFLOW_TRACKING_URI") or f"{SQLITE}mlflow.db"
    return f"{SQLITE}{home() / uri.removeprefix(SQLITE)}" if uri.startswith(SQLITE) else uri


def artifact_root(uri: str) -> str | None:
    """mlruns/ beside a SQLite database, where a plain `mlflow ui` looks; a server keeps artifacts where it likes."""
    if not uri.startswith(SQLITE):
        return None
    return (Path(uri.removeprefix(SQLITE)).resolve().parent / "mlruns").as_uri()


def open_store() -> tuple[mlflow.MlflowClient, str]:
    """Connect to the store: (client, id of our experiment). Raises AigcError when it does not answer."""
    uri = store_uri()
    mlflow.set_tracking_uri(uri)
    try:
        # Two processes that both create the database's tables would race.
        with process.only_writer(home() / paths.CHECKPOINTS / "store.lock"):
            _make_database(uri)
            client = mlflow.MlflowClient(uri)
            found = client.get_experiment_by_name(EXPERIMENT)
            if found is None:
                tags = views.experiment_tags()
                return client, client.create_experiment(EXPERIMENT, artifact_location=artifact_root(uri), tags=tags)
    except (MlflowException, SQLAlchemyError) as error:
        raise AigcError(f"the MLflow store {uri} does not answer ({str(error).splitlines()[0]}); "
                        "check MLFLOW_TRACKING_URI, or unset it to use mlflow.db") from error
    if found.lifecycle_stage == LifecycleStage.DELETED:
        raise AigcError(f"the MLflow store {uri} has its experiment `{EXPERIMENT}` among the deleted; "
                        f"`MLFLOW_TRACKING_URI={uri} mlflow experiments restore -x {found.experiment_id}` brings it back")
    return client, found.experiment_id


def _make_database(uri: str) -> None:
    """Where `uri` names a SQLite file that is not there yet, make it whole or not at all: MLflow cannot go on with half of its tables."""
    place = Path(uri.removeprefix(SQLITE))
    if uri.startswith(SQLITE) and not place.exists():
        from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

        with files.replacing(place) as unfinished:
            SqlAlchemyStore(f"{SQLITE}{unfinished.absolute()}", artifact_root(uri)).engine.dispose()


def milliseconds() -> int:
    """Now, as MLflow counts time."""
    return int(time.time() * 1000)
