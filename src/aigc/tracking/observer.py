"""MLflow as the observer of the stages: what a training and an evaluation report becomes one run."""

import base64
import json
import math
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

from aigc.core import cuda, files, hashes, paths
from aigc.core.errors import AigcError, Interrupted
from aigc.evaluation import model_identity
from aigc.metrics.intervals import flat
from aigc.model import sampling
from aigc.model.card import Card, parameter_count
from aigc.model.contract import Method
from aigc.reporting.grid import grid, png
from aigc.tracking import run, store, views
from aigc.tracking.killed import FINGERPRINT, METHOD, WRITER, Heart, writer_tag
from aigc.tracking.sender import Sender, send_all, sender
from aigc.tracking.watch import Watcher, sources_of
from aigc.training.checkpoint import Checkpoints
from aigc.training.observer import Observer, Row, Training, TrainingWatch
from aigc.workspace import machine
from aigc.workspace.trial import CURVE, PRUNED

PREVIEWS = 64  # samples in one picture
SYSTEM_METRICS_SECONDS = 5


class MlflowObserver(Observer):
    @contextmanager
    def training(self, training: Training) -> Iterator[TrainingWatch]:
        with sender(training.method, f"{training.method}-{training.fingerprint[:16]}") as sending:
            watch = RunWatch(sending, training)
            status = "FAILED"
            try:
                yield watch
                status = "FINISHED"
            except (Interrupted, KeyboardInterrupt):
                status = "KILLED"
                raise
            finally:
                watch.end(status)

    def evaluated(self, method: Method, card: Card, metrics: Mapping[str, Any]) -> None:
        """Add the numbers (fid, fid_low, memorization/pixels/c_t, ...) to the run that trained these weights.
        """
        values = {
            **flat(metrics),
            "sampling_images_per_second": sampling.pace(method),
            "parameters": float(parameter_count(method.state_dict())),
        }
        content = {
            **model_identity.identity(card),
            "metrics": values,
            "tags": views.verdict_tags(metrics),
            "stamp": store.milliseconds(),
        }
        attached = {
            path.name: path for path in (paths.metrics(card.method), paths.grid(card.method)) if path.exists()
        }
        with suppress(Exception):  # what is wrong with the store is said below
            send_all()  # the run of these weights may wait there
        try:
            with sender(card.method, f"evaluate-{card.method}-{card.weights_sha256[:16]}") as sending:
                sending.send("evaluation", content, attached, last=True)
        except (AigcError, OSError) as error:
            print(
                f"{card.method}: warning: its numbers are not logged ({error}); `aigc sync` logs them",
                file=sys.stderr,
            )


class RunWatch(TrainingWatch):
    """Sends the entries of one training. Durations count from its start, or from its last resumption."""

    def __init__(self, sending: Sender, training: Training) -> None:
        self.sending, self.training = sending, training
        self.started = self.last_time = time.monotonic()
        self.monitor: SystemMetricsMonitor | None = None
        self.heart: Heart | None = None
        self.watcher = Watcher(training) if training.watch else None
        tags = {WRITER: writer_tag(), METHOD: training.method, FINGERPRINT: training.fingerprint}
        described = machine.describe()
        if torch.cuda.is_initialized():
            described["gpu"] = cuda.description()
        content, attached = run.description(
            tags, training.params, training.data, training.data_sha256, described
        )
        checkpoints = Checkpoints(paths.training_lock(training.method, training.fingerprint).parent)
        recipe = {
            "method": training.method,
            "data": training.data_sha256,
            "code": training.code,
            "params": {key: value for key, value in training.params.items() if key != "train.seed"},
        }
        content["about"]["aigc.processes"] = str(training.processes)
        content["about"][run.RECIPE] = hashes.short_digest(recipe)
        sending.send(
            "begin",
            {
                **content,
                "tags": tags,
                "is_repeat": training.is_repeat,
                "resumes": not checkpoints.is_empty(),
                "started": store.milliseconds(),
                "name": run.run_name(training.method),
            },
            attached,
        )
        # Steps that were sent or kept. None: the store is away, and has perhaps some of an earlier process.
        self.last_step = sending.writer.last_step if sending.writer and sending.is_connected else None
        self._watch_machine()

    def progress(self, history: list[Row], average: Method) -> None:
        fresh = [row for row in history if row["step"] > (self.last_step or 0)]
        if fresh:
            now = time.monotonic()
            content: dict[str, Any] = {
                "rows": fresh,
                "stamp": store.milliseconds(),
                "seconds": now - self.started,
            }
            if self.last_step is not None:
                before = next((row["images"] for row in history if row["step"] == self.last_step), 0)
                content["images_per_second"] = (fresh[-1]["images"] - before) / (now - self.last_time)
            self.sending.send("rows", content)
            self.last_step, self.last_time = int(fresh[-1]["step"]), now
        if history[-1]["step"] < self.training.steps:
            self._send_snapshot(average)
        self._watch_machine()

    def trained(self, average: Method, folder: Path, card: Card) -> None:
        self._send_snapshot(average, is_trained=True)
        self.sending.send("model", model_identity.identity(card), {"model": folder})

    def end(self, status: str) -> None:
        """End the run. The system's metrics come first: MLflow's thread stops where its run has ended."""
        if self.monitor and self.sending.is_connected:
            self.monitor.finish()
        if self.heart:
            self.heart.stop()
        content = {"status": status, "stamp": store.milliseconds(), "tags": pruned_tags(status)}
        self.sending.send("end", content, last=True)

    def _send_snapshot(self, average: Method, is_trained: bool = False) -> None:
        """Send FID and pictures of the samples so far. A trained model's pictures are its own, of its own
        settings.
        """
        at = {"step": self.last_step or 0, "stamp": store.milliseconds()}
        snapshot = self.watcher.snapshot(average, is_trained) if self.watcher else None
        if snapshot and snapshot.fid is not None:
            self.sending.send("watched", {**at, "fid": snapshot.fid, "extractor": snapshot.extractor})
            write_curve(at["step"], self.training.steps, snapshot.fid)
        if is_trained:
            try:
                sources = sources_of(self.training.method, average, PREVIEWS)
            except AigcError:  # the stage `generate` says it
                return
            images = torch.cat(list(sampling.blocks(average, 0, PREVIEWS, sources=sources))).numpy()
        elif snapshot:
            images = snapshot.images[:PREVIEWS]
        else:
            return
        picture = base64.b64encode(png(grid(images, math.isqrt(PREVIEWS)))).decode()
        self.sending.send("grid", {**at, "png": picture})

    def _watch_machine(self) -> None:
        """Have threads log the load of this machine and that it lives, from when the run is there."""
        writer = self.sending.writer
        if writer is None or not self.sending.is_connected or not writer.run_id:
            return
        if self.heart is None and store.is_shared():
            self.heart = Heart(writer.client, writer.run_id)
        if self.monitor is None:
            with suppress(Exception):  # it asks the store, which may just have gone
                self.monitor = SystemMetricsMonitor(
                    writer.run_id, SYSTEM_METRICS_SECONDS, resume_logging=True
                )
                self.monitor.start()


def write_curve(step: int, steps: int, fid: float) -> None:
    """Tell a sweep, whose trial this training is, the FID so far: a line in the file that it named."""
    if name := os.environ.get(CURVE):
        with suppress(OSError), Path(name).open("a") as stream:
            stream.write(json.dumps({"step": step, "steps": steps, "fid": fid}) + "\n")


def pruned_tags(status: str) -> dict[str, str]:
    """The tag of a run that a sweep stopped early: why."""
    place = Path(os.environ.get(CURVE, "")).with_suffix(PRUNED) if CURVE in os.environ else None
    if status != "KILLED" or place is None or not place.exists():
        return {}
    return {"aigc.pruned": str(files.read_json(place))}
