"""What MLflow remembers: one run a trained model. This folder alone imports mlflow.

Durations, throughput and the host live here only. What a run hears of steps comes after the checkpoint that holds
them, and only what is past the store's last step is sent, so that a resumed run logs no step twice.
"""

import fcntl
import logging
import os
import platform
import re
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aigc.core import files, paths, process, provenance
from aigc.core.errors import AigcError, Interrupted

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
os.environ.setdefault("MLFLOW_RECORD_ENV_VARS_IN_MODEL_LOGGING", "false")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

import mlflow
import numpy as np
from mlflow.data.dataset_source_registry import resolve_dataset_source
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import LifecycleStage, Metric, Param, Run, RunTag
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema
from sqlalchemy.exc import SQLAlchemyError

from aigc.tracking import views

logging.getLogger("mlflow").setLevel(logging.WARNING)
warnings.filterwarnings("ignore", module="mlflow")

EXPERIMENT = "aigc"
TEMPORARY_CHECKOUTS = "/.dvc/tmp/exps/"
SERVING_PAGE = Path(__file__).with_name("serving.py")
RESTORED = "restored"  # in place of the fingerprint of a run whose training nobody saw here
SYSTEM_METRICS_SECONDS = 5
SQLITE = "sqlite:///"
SOURCE, PATCH = "source", "uncommitted.patch"  # what a run was made from, among its artifacts
WRITER = "aigc.writer"  # host:folder of who writes a run; its lock lies there
MACHINE_ID, MACHINE = Path("/etc/machine-id"), "machine-"  # man 5 machine-id: to be told only as a hash of one's own
WEIGHTS = "aigc.weights_sha256"
SIGNATURE = ModelSignature(
    inputs=Schema([ColSpec(DataType.long, "n", required=True), ColSpec(DataType.long, "label", required=False),
                   ColSpec(DataType.long, "seed", required=False)]),
    outputs=Schema([ColSpec(DataType.long, "index"), ColSpec(DataType.long, "label"), ColSpec(DataType.binary, "png")]))


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


class TrainingRun:
    """The MLflow run of one training, new or continued. Call it with the history whenever a checkpoint was written."""

    def __init__(self, client: mlflow.MlflowClient, run_id: str) -> None:
        self.client, self.run_id = client, run_id
        self.last_step = max((point.step for point in client.get_metric_history(run_id, "images")), default=0)
        spent = client.get_metric_history(run_id, "training_seconds")
        self.seconds_before = spent[-1].value if spent else 0.0
        self.started = self.last_time = time.monotonic()

    def log_history(self, history: list[dict[str, float]]) -> None:
        """Send the rows that the store has not seen, and the pace since the last call."""
        fresh = [row for row in history if row["step"] > self.last_step]
        if not fresh:
            return
        now, stamp = time.monotonic(), milliseconds()
        images = fresh[-1]["images"] - next((row["images"] for row in history if row["step"] == self.last_step), 0)
        step = int(fresh[-1]["step"])
        self.log_rows(fresh, [Metric("images_per_second", images / (now - self.last_time), stamp, step),
                              Metric("training_seconds", self.seconds_before + now - self.started, stamp, step)])
        self.last_step, self.last_time = step, now

    def log_rows(self, rows: list[dict[str, float]], more: Sequence[Metric] = ()) -> None:
        """Send every number of `rows` under its step, and `more` with them."""
        stamp = milliseconds()
        points = [Metric(name, value, stamp, int(row["step"])) for row in rows for name, value in row.items() if name != "step"]
        points += more
        for start in range(0, len(points), 1000):
            self.client.log_batch(self.run_id, metrics=points[start:start + 1000])

    def log_grid(self, grid: np.ndarray) -> None:
        """Send a picture of the fixed latents, uint8 (H, W, C), under the last step that was sent, once."""
        name = re.compile(rf"images/samples\Wstep\W{self.last_step}\W")  # the separator is MLflow's own affair
        if not any(name.match(item.path) for item in self.client.list_artifacts(self.run_id, "images")):
            self.client.log_image(self.run_id, grid, key="samples", step=self.last_step, synchronous=True)

    def log_model(self, folder: Path, weights_sha256: str) -> None:
        """Send the model as a pyfunc made of code and safetensors: nothing in it is pickled."""
        if self.client.get_run(self.run_id).data.tags.get(WEIGHTS) == weights_sha256:
            return  # logged before DVC was killed
        mlflow.pyfunc.log_model(
            name="model", python_model=str(SERVING_PAGE), artifacts={"model": str(folder)}, signature=SIGNATURE,
            code_paths=[str(provenance.PACKAGE)], pip_requirements=str(paths.REQUIREMENTS))
        self.client.set_tag(self.run_id, WEIGHTS, weights_sha256)


@contextmanager
def training_run(method: str, fingerprint: str, params: Mapping[str, Any], data: Path,
                 data_sha256: str) -> Iterator[TrainingRun]:
    """Start the run of `fingerprint`, or go on with the one that was interrupted; end it as the block ends."""
    client, experiment = open_store()
    close_abandoned(client, experiment)
    # Another folder or machine goes on with its own. What is RUNNING still has a writer, unless it is our own lock that it names.
    writer = writer_tag()
    # One that has FINISHED here goes on too: DVC was killed between the end of the training and writing it down.
    unfinished = [run for run in client.search_runs([experiment], f"tags.`aigc.fingerprint` = '{fingerprint}'")
                  if run.data.tags.get(WRITER) == writer or (run.info.status not in ("RUNNING", "FINISHED") and _is_from_here(run))]
    mlflow.set_system_metrics_sampling_interval(SYSTEM_METRICS_SECONDS)
    name = " ".join(filter(None, (method, os.environ.get("DVC_EXP_NAME"))))
    run_id = unfinished[0].info.run_id if unfinished else None
    shown, tags = None if run_id else name, {WRITER: writer, "aigc.method": method, "aigc.fingerprint": fingerprint}
    with _status_of_the_end(), mlflow.start_run(run_id, experiment, shown, tags=tags, log_system_metrics=True) as active:
        run = TrainingRun(client, active.info.run_id)
        if not run_id:
            shared = {"method": method, "data": data_sha256, "code": provenance.loaded_code(),
                      "params": {key: value for key, value in params.items() if key != "train.seed"}}
            about = {**tags, "aigc.recipe": provenance.digest(shared), **machine_tags(provenance.machine())}
            _describe(client, active.info.run_id, about, params)
            _log_data(data, data_sha256)
        yield run


@contextmanager
def restored_run(method: str, params: Mapping[str, Any], data: Path, data_sha256: str,
                 machine: Mapping[str, str]) -> Iterator[TrainingRun]:
    """A run for a model that DVC restored: what is known of it, without what only its training knew.

    machine: where it was trained, empty when nobody knows. Hold `lock_of(method, RESTORED)` meanwhile.
    """
    client, experiment = open_store()
    tags = {WRITER: writer_tag(), "aigc.method": method, "aigc.restored": "true"}
    with _status_of_the_end(), mlflow.start_run(None, experiment, f"{method} restored", tags=tags, log_system_metrics=False) as active:
        _describe(client, active.info.run_id, {**tags, **machine_tags(machine)}, params)
        _log_data(data, data_sha256)
        yield TrainingRun(client, active.info.run_id)


def machine_tags(machine: Mapping[str, str]) -> dict[str, str]:
    """provenance.machine() as tags."""
    return {f"machine.{key}": value for key, value in machine.items()}


def _log_data(data: Path, data_sha256: str) -> None:
    """Name the pictures that the active run learned from."""
    dataset = MetaDataset(resolve_dataset_source(str(data)), name=str(data), digest=data_sha256[:16])  # type: ignore[abstract]
    mlflow.log_input(dataset, context="training")


def milliseconds() -> int:
    """Now, as MLflow counts time."""
    return int(time.time() * 1000)


@contextmanager
def _status_of_the_end() -> Iterator[None]:
    """An interrupted run is KILLED, a failed one FAILED; mlflow alone would call both FAILED."""
    try:
        yield
    except (Interrupted, KeyboardInterrupt):
        if ended := mlflow.last_active_run():
            mlflow.MlflowClient().set_terminated(ended.info.run_id, "KILLED")
        raise


def _describe(client: mlflow.MlflowClient, run_id: str, tags: Mapping[str, str], params: Mapping[str, Any]) -> None:
    """Params, and what the run came from: commit, uncommitted changes."""
    patch = provenance.uncommitted()
    about = {**tags, "mlflow.source.name": paths.PARAMS.resolve().parent.name, "mlflow.runColor": views.colour(tags["aigc.method"]),
             "mlflow.source.git.commit": provenance.git("rev-parse", "HEAD").strip(), "aigc.git_dirty": str(bool(patch)).lower()}
    client.log_batch(run_id, params=[Param(key, str(value)) for key, value in params.items()],
                     tags=[RunTag(key, value) for key, value in about.items() if value])
    for name in (paths.PARAMS, paths.LOCK, paths.REQUIREMENTS):
        if name.exists():
            client.log_artifact(run_id, str(name), SOURCE)
    if patch:
        with tempfile.TemporaryDirectory(prefix="aigc-patch-") as scratch:
            # Bytes, not text: a patch may hold any encoding and any line ending.
            files.write_bytes(Path(scratch) / PATCH, patch)
            client.log_artifact(run_id, str(Path(scratch) / PATCH), SOURCE)


def close_abandoned(client: mlflow.MlflowClient, experiment: str) -> list[Run]:
    """Mark as KILLED, and return, each RUNNING run of this machine whose writer is gone."""
    gone = [run for run in client.search_runs([experiment], "attributes.status = 'RUNNING'") if not _has_writer(run)]
    for run in gone:
        client.set_terminated(run.info.run_id, "KILLED")
    return gone


def _has_writer(run: Run) -> bool:
    """Whether the writer of `run` holds its lock, as far as this machine can tell; another machine's is taken to do so."""
    written_by, folder = _writer_of(run)
    lock = lock_of(run.data.tags.get("aigc.method", ""), run.data.tags.get("aigc.fingerprint", RESTORED))
    if written_by == host():
        return (Path(folder) / lock).exists() and _is_held(Path(folder) / lock)
    return not (_is_from_here(run) and lock.exists() and not _is_held(lock))


def _is_from_here(run: Run) -> bool:
    """Whether `run` may have been written in this folder: a container without a machine-id gets another name at each start."""
    written_by, folder = _writer_of(run)
    return folder in ("", str(Path.cwd())) and (written_by == host() or not written_by.startswith(MACHINE))


def writer_tag() -> str:
    """Who writes a run: machine and folder; its lock lies there."""
    return f"{host()}:{Path.cwd()}"


def _writer_of(run: Run) -> tuple[str, str]:
    """Machine and folder of who writes, or wrote, `run`; both empty where it does not say."""
    machine, _, folder = run.data.tags.get(WRITER, "").partition(":")
    return machine, folder


def host() -> str:
    """This machine: a hash of its machine-id, since many are called localhost; its name where it has none."""
    try:
        known = MACHINE_ID.read_text().strip()
    except OSError:
        known = ""
    return f"{MACHINE}{provenance.digest(f'aigc {known}')}" if known else platform.node()


def lock_of(method: str, fingerprint: str) -> Path:
    """The lock that the writer of one training holds."""
    return paths.CHECKPOINTS / f"{method}-{fingerprint[:16]}" / "lock"


def _is_held(lock: Path) -> bool:
    with lock.open() as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False
