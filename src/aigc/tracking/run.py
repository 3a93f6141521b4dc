"""One MLflow run a trained model: its params, curves, pictures and the model, and where it came from.

Durations, throughput and the host are kept here only. A run is told of steps after the checkpoint that holds them, and
only of steps past the store's last one, so that a resumed run logs no step twice.
"""

import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.data.dataset_source_registry import resolve_dataset_source
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import Metric, Param, Run, RunTag
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, DataType, Schema

from aigc.core import files, hashes, paths
from aigc.core.code import SOURCE as CODE
from aigc.core.errors import AigcError, Interrupted
from aigc.tracking import views
from aigc.tracking.store import milliseconds, open_store
from aigc.tracking.writer import FINGERPRINT, METHOD, WRITER, close_abandoned, is_from_here, writer_tag
from aigc.training.observer import Training
from aigc.workspace import git, machine
from aigc.workspace.paths import LOCK

SERVING_PAGE = Path(__file__).with_name("serving.py")
SYSTEM_METRICS_SECONDS = 5
SOURCE, PATCH = "source", "uncommitted.patch"  # what a run was made from, among its artifacts
WEIGHTS = "aigc.weights_sha256"
SIGNATURE = ModelSignature(
    inputs=Schema([ColSpec(DataType.long, "n", required=True), ColSpec(DataType.long, "label", required=False),
                   ColSpec(DataType.long, "seed", required=False)]),
    outputs=Schema([ColSpec(DataType.long, "index"), ColSpec(DataType.long, "label"), ColSpec(DataType.binary, "png")]))


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
            code_paths=[str(CODE / "aigc")], pip_requirements=str(paths.REQUIREMENTS))
        self.client.set_tag(self.run_id, WEIGHTS, weights_sha256)


@contextmanager
def training_run(training: Training) -> Iterator[TrainingRun]:
    """Start the run of a training, or continue the one that was interrupted; end it as the block ends."""
    client, experiment = open_store()
    close_abandoned(client, experiment)
    writer = writer_tag()
    interrupted = [run for run in client.search_runs([experiment], f"tags.`{FINGERPRINT}` = '{training.fingerprint}'")
                   if _may_continue(run, writer, training.is_repeat)]
    mlflow.set_system_metrics_sampling_interval(SYSTEM_METRICS_SECONDS)
    run_id = interrupted[0].info.run_id if interrupted else None
    name = None if run_id else " ".join(filter(None, (training.method, os.environ.get("DVC_EXP_NAME"))))
    tags = {WRITER: writer, METHOD: training.method, FINGERPRINT: training.fingerprint}
    with _status_of_the_end(), mlflow.start_run(run_id, experiment, name, tags=tags, log_system_metrics=True) as active:
        run = TrainingRun(client, active.info.run_id)
        if not run_id:
            recipe = {"method": training.method, "data": training.data_sha256, "code": training.code,
                      "params": {key: value for key, value in training.params.items() if key != "train.seed"}}
            about = {**tags, "aigc.recipe": hashes.short_digest(recipe), **machine_tags(machine.describe())}
            _describe(client, active.info.run_id, about, training.params)
            _log_data(training.data, training.data_sha256)
        yield run


def _may_continue(run: Run, writer: str, is_repeat: bool) -> bool:
    """Whether a training goes on in `run`, which has its fingerprint: an unfinished one of this folder and machine.

    A FINISHED one goes on too, unless the training is done anew: DVC was killed before it recorded the end.
    """
    if run.info.status == "FINISHED" and is_repeat:
        return False
    return run.data.tags.get(WRITER) == writer or (run.info.status not in ("RUNNING", "FINISHED") and is_from_here(run))


@contextmanager
def restored_run(method: str, params: Mapping[str, Any], data: Path, data_sha256: str,
                 trained_on: Mapping[str, str]) -> Iterator[TrainingRun]:
    """A run for a model that DVC restored: what is known of it, without what only its training knew.

    trained_on: the machine, empty when nobody knows. Hold `lock_of(method, RESTORED)` meanwhile.
    """
    client, experiment = open_store()
    tags = {WRITER: writer_tag(), METHOD: method, "aigc.restored": "true"}
    with _status_of_the_end(), mlflow.start_run(None, experiment, f"{method} restored", tags=tags, log_system_metrics=False) as active:
        _describe(client, active.info.run_id, {**tags, **machine_tags(trained_on)}, params)
        _log_data(data, data_sha256)
        yield TrainingRun(client, active.info.run_id)


def machine_tags(described: Mapping[str, str]) -> dict[str, str]:
    """What machine.describe() gives, as tags."""
    return {f"machine.{key}": value for key, value in described.items()}


def _log_data(data: Path, data_sha256: str) -> None:
    """Name the pictures that the active run learned from."""
    dataset = MetaDataset(resolve_dataset_source(str(data)), name=str(data), digest=data_sha256[:16])  # type: ignore[abstract]
    mlflow.log_input(dataset, context="training")


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
    commit, patch = _origin_in_git()
    dirty = {None: "unknown", b"": "false"}.get(patch, "true")
    about = {**tags, "mlflow.source.name": paths.PARAMS.resolve().parent.name,
             "mlflow.runColor": views.colour(tags[METHOD]), "mlflow.source.git.commit": commit, "aigc.git_dirty": dirty}
    client.log_batch(run_id, params=[Param(key, str(value)) for key, value in params.items()],
                     tags=[RunTag(key, value) for key, value in about.items() if value])
    for name in (paths.PARAMS, LOCK, paths.REQUIREMENTS):
        if name.exists():
            client.log_artifact(run_id, str(name), SOURCE)
    if patch:
        with tempfile.TemporaryDirectory(prefix="aigc-patch-") as scratch:
            # Bytes, not text: a patch may hold any encoding and any line ending.
            files.write_bytes(Path(scratch) / PATCH, patch)
            client.log_artifact(run_id, str(Path(scratch) / PATCH), SOURCE)


def _origin_in_git() -> tuple[str, bytes | None]:
    """(commit, uncommitted changes); ("", None) where git refuses to look or there is no repository."""
    try:
        return (git.head(), git.uncommitted()) if git.is_repository() else ("", None)
    except AigcError as error:
        print(f"warning: the MLflow run names no commit: {error}", file=sys.stderr)
        return "", None
