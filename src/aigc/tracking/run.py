"""One MLflow run a trained model: its params, curves, pictures and the model, and where it came from.

Durations, throughput and the host are kept here only. Each method of StoreWriter writes one kind of entry,
and finds out first
what the store already has: an entry that is sent again, since an answer was lost or a training resumed, is
written once.
"""

import base64
import io
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.data.dataset_source_registry import resolve_dataset_source
from mlflow.data.meta_dataset import MetaDataset
from mlflow.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModel,
    LoggedModelStatus,
    Metric,
    Param,
    Run,
    RunTag,
)
from mlflow.models import Model, ModelSignature
from mlflow.tracking.context.registry import resolve_tags
from mlflow.types import ColSpec, DataType, Schema
from PIL import Image

from aigc.core import files, paths
from aigc.core.code import SOURCE as CODE
from aigc.core.errors import AigcError
from aigc.tracking import finished, store, views
from aigc.tracking.finished import CARD, SOURCE, WEIGHTS
from aigc.tracking.killed import FINGERPRINT, METHOD, WRITER, close_abandoned, is_from_here, writer_tag
from aigc.workspace import git
from aigc.workspace.paths import LOCK
from aigc.workspace.trial import SWEEP, TRIAL

SERVING_PAGE = Path(__file__).with_name("serving.py")
WATCHED = "watch_fid"  # at n = tracking.watch.SAMPLES, which is smaller than that of `fid`
PATCH = "uncommitted.patch"  # beside the other sources
RECIPE = "aigc.recipe"  # the last tag of a description: a run that has it is described
BATCH = 1000  # metrics a request
SIGNATURE = ModelSignature(
    inputs=Schema(
        [
            ColSpec(DataType.long, "n", required=True),
            ColSpec(DataType.long, "label", required=False),
            ColSpec(DataType.long, "seed", required=False),
            ColSpec(DataType.binary, "source", required=False),
        ]
    ),
    outputs=Schema(
        [ColSpec(DataType.long, "index"), ColSpec(DataType.long, "label"), ColSpec(DataType.binary, "png")]
    ),
)


class StoreWriter:
    """Writes entries to the store. state: what a later writer needs to go on with the same run."""

    def __init__(self, client: mlflow.MlflowClient, experiment: str, state: Mapping[str, Any]) -> None:
        self.client, self.experiment = client, experiment
        self.run_id, self.last_step, self.seconds_before = "", 0, 0.0
        if run_id := state.get("run_id"):
            self.go_on(run_id)
            self.seconds_before = state["seconds_before"]

    @property
    def state(self) -> dict[str, Any]:
        return {"run_id": self.run_id, "seconds_before": self.seconds_before} if self.run_id else {}

    def go_on(self, run_id: str) -> None:
        """Write to this run from now on, after the steps that it has."""
        self.run_id = run_id
        self.last_step = max(
            (point.step for point in self.client.get_metric_history(run_id, "images")), default=0
        )
        spent = self.client.get_metric_history(run_id, "training_seconds")
        self.seconds_before = spent[-1].value if spent else 0.0

    def begin(self, content: dict[str, Any], attached: Mapping[str, Path]) -> None:
        """Start the run of a training, or continue the one that was interrupted."""
        close_abandoned(self.client, self.experiment)
        tags = content["tags"]
        known = store.runs(self.client, self.experiment, f"tags.`{FINGERPRINT}` = '{tags[FINGERPRINT]}'")
        run = next((run for run in known if _may_continue(run, content)), None)
        if run is None:
            run = self.client.create_run(
                self.experiment, content["started"], resolve_tags(tags), content["name"]
            )
        else:
            self.client.update_run(run.info.run_id, status="RUNNING")
            self.client.set_tag(run.info.run_id, WRITER, tags[WRITER])
        self.go_on(run.info.run_id)
        if RECIPE not in run.data.tags:
            self.describe(content, attached)

    def describe(self, content: dict[str, Any], attached: Mapping[str, Path]) -> None:
        """Add sources, data, params and tags to the run; the tags come last."""
        for path in attached.values():
            self.client.log_artifact(self.run_id, str(path), SOURCE)
        if content["patch"]:
            with tempfile.TemporaryDirectory(prefix="aigc-patch-") as scratch:
                # Bytes, not text: a patch may hold any encoding and any line ending.
                files.write_bytes(Path(scratch) / PATCH, base64.b64decode(content["patch"]))
                self.client.log_artifact(self.run_id, str(Path(scratch) / PATCH), SOURCE)
        name = content["data"]
        about = MetaDataset(resolve_dataset_source(name), name=name, digest=content["data_sha256"][:16])  # type: ignore[abstract]
        facts = about.to_dict()
        dataset = Dataset(**{key: facts[key] for key in ("name", "digest", "source_type", "source")})
        self.client.log_inputs(
            self.run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])]
        )
        self.client.log_batch(
            self.run_id,
            params=[Param(key, value) for key, value in content["params"].items()],
            tags=[RunTag(key, value) for key, value in content["about"].items() if value],
        )

    def rows(self, content: dict[str, Any], _: Mapping[str, Path] | None = None) -> None:
        """Add the rows of history that the run lacks, each number under its step, and the pace up to the last
        row.

        A request holds whole rows, so that the last step of `images` names the last whole row.
        """
        fresh = [row for row in content["rows"] if row["step"] > self.last_step]
        stamp = content["stamp"]
        size = max(1, BATCH // max(map(len, content["rows"])) - 1)
        for start in range(0, len(fresh), size):
            some = fresh[start:start + size]
            last = int(some[-1]["step"])
            points = [
                Metric(name, value, stamp, int(row["step"]))
                for row in some
                for name, value in row.items()
                if name != "step"
            ]
            if start + size >= len(fresh):
                pace = {"images_per_second": content.get("images_per_second")}
                if "seconds" in content:
                    pace["training_seconds"] = self.seconds_before + content["seconds"]
                points += [
                    Metric(name, value, stamp, last) for name, value in pace.items() if value is not None
                ]
            self.client.log_batch(self.run_id, metrics=points)
            self.last_step = last

    def grid(self, content: dict[str, Any], _: Mapping[str, Path]) -> None:
        """Add a picture of the fixed latents, a PNG, under its step."""
        step = content["step"]
        name = re.compile(rf"images/samples\Wstep\W{step}\W")  # the separator is MLflow's own affair
        if not any(name.match(item.path) for item in self.client.list_artifacts(self.run_id, "images")):
            pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(content["png"]))))
            self.client.log_image(
                self.run_id, pixels, key="samples", step=step, timestamp=content["stamp"], synchronous=True
            )

    def watched(self, content: dict[str, Any], _: Mapping[str, Path] | None = None) -> None:
        """Add FID of samples while the method trains, under its step."""
        step = content["step"]
        if step not in [point.step for point in self.client.get_metric_history(self.run_id, WATCHED)]:
            self.client.log_batch(
                self.run_id,
                metrics=[Metric(WATCHED, content["fid"], content["stamp"], step)],
                tags=[RunTag("aigc.watch_extractor", content["extractor"])],
            )

    def model(self, content: dict[str, Any], attached: Mapping[str, Path]) -> None:
        """Add the model as a pyfunc made of code and safetensors: nothing in it is pickled."""
        weights, run = content["weights_sha256"], self.client.get_run(self.run_id)
        if run.data.tags.get(WEIGHTS) == weights:
            return
        logged = next((one for one in self._models(run) if one.tags.get(WEIGHTS) == weights), None)
        if logged is None:
            logged = self.client.create_logged_model(
                self.experiment, "model", self.run_id, {WEIGHTS: weights}, run.data.params
            )
        if logged.status != LoggedModelStatus.READY:
            Model.log(
                None,
                mlflow.pyfunc,
                model_id=logged.model_id,
                run_id=self.run_id,
                python_model=str(SERVING_PAGE),
                artifacts={"model": str(attached["model"])},
                signature=SIGNATURE,
                code_paths=[str(CODE / "aigc")],
                pip_requirements=str(paths.REQUIREMENTS),
            )
        self.client.set_tag(self.run_id, CARD, content["card_sha256"])
        self.client.set_tag(self.run_id, WEIGHTS, weights)

    def _models(self, run: Run) -> list[LoggedModel]:
        outputs = run.outputs.model_outputs if run.outputs else []
        return [self.client.get_logged_model(output.model_id) for output in outputs]

    def end(self, content: dict[str, Any], _: Mapping[str, Path]) -> None:
        """End the run: FINISHED, FAILED or KILLED."""
        for name, value in content.get("tags", {}).items():
            self.client.set_tag(self.run_id, name, value)
        self.client.set_terminated(self.run_id, content["status"], content["stamp"])

    def evaluation(self, content: dict[str, Any], attached: Mapping[str, Path]) -> None:
        """Add an evaluation to the run that trained the weights. Raises LookupError where the store has none.
        """
        if not finished.add_metrics(
            self.client,
            self.experiment,
            content["weights_sha256"],
            content["card_sha256"],
            content["metrics"],
            list(attached.values()),
            content["tags"],
            content["stamp"],
        ):
            raise LookupError("no run of these weights")


def _may_continue(run: Run, content: Mapping[str, Any]) -> bool:
    """Whether a training goes on in `run`, which has its fingerprint: an unfinished one of this folder and
    machine, or of any where the training goes on from a checkpoint that was brought here.

    A FINISHED one goes on too, unless the training is done anew: DVC was killed before it recorded the end.
    """
    if run.info.status == "FINISHED" and content["is_repeat"]:
        return False
    return run.data.tags.get(WRITER) == content["tags"][WRITER] or (
        run.info.status not in ("RUNNING", "FINISHED") and (
            is_from_here(run) or content.get("resumes", False))
    )


@contextmanager
def restored_run(
    method: str, params: Mapping[str, Any], data: Path, data_sha256: str, trained_on: Mapping[str, str]
) -> Iterator[StoreWriter]:
    """A run for a model that DVC restored: what is known of it, without what only its training knew.

    trained_on: the machine, empty when nobody knows. Hold the lock of the method's restored run meanwhile.
    """
    client, experiment = store.open_store(writes=True)
    tags = {WRITER: writer_tag(), METHOD: method, "aigc.restored": "true"}
    writer = StoreWriter(client, experiment, {})
    writer.run_id = client.create_run(
        experiment, tags=resolve_tags(tags), run_name=f"{method} restored"
    ).info.run_id
    status = "FAILED"
    try:
        writer.describe(*description(tags, params, data, data_sha256, trained_on))
        yield writer
        status = "FINISHED"
    except KeyboardInterrupt:
        status = "KILLED"
        raise
    finally:
        client.set_terminated(writer.run_id, status)


def description(
    tags: Mapping[str, str],
    params: Mapping[str, Any],
    data: Path,
    data_sha256: str,
    trained_on: Mapping[str, str],
) -> tuple[dict[str, Any], dict[str, Path]]:
    """What a run is and what it came from, as the content and the files of an entry: params, commit,
    uncommitted changes.
    """
    commit, patch = _origin_in_git()
    about = {
        **tags,
        **{f"machine.{key}": value for key, value in trained_on.items()},
        "mlflow.source.name": paths.PARAMS.resolve().parent.name,
        "mlflow.runColor": views.colour(tags[METHOD]),
        "mlflow.source.git.commit": commit,
        "aigc.parent": str(params.get("init_from", "")),
        "aigc.sweep": os.environ.get(SWEEP, ""),
        "aigc.trial": os.environ.get(TRIAL, ""),
        "aigc.git_dirty": {None: "unknown", b"": "false"}.get(patch, "true"),
    }
    content = {
        "about": about,
        "params": {key: str(value) for key, value in params.items()},
        "data": str(data),
        "data_sha256": data_sha256,
        "patch": base64.b64encode(patch or b"").decode(),
    }
    return content, {path.name: path for path in (paths.PARAMS, LOCK, paths.REQUIREMENTS) if path.exists()}


def run_name(method: str) -> str:
    """The name of a training's run: the method, and DVC's experiment, or the sweep and trial, that it is of.
    """
    names = (os.environ.get(name) for name in ("DVC_EXP_NAME", SWEEP, TRIAL))
    return " ".join(filter(None, (method, *names)))


def _origin_in_git() -> tuple[str, bytes | None]:
    """(commit, uncommitted changes); ("", None) where git refuses to look or there is no repository."""
    try:
        return (git.head(), git.uncommitted()) if git.is_repository() else ("", None)
    except AigcError as error:
        print(f"warning: the MLflow run names no commit: {error}", file=sys.stderr)
        return "", None
