"""What MLflow remembers of the finished run, read with MLflow alone."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import pytest

from aigc.tracking import killed, store
from aigc.tracking.run import StoreWriter, description
from projects import run_in
from stores import runs_of

PICKLED = (".pkl", ".pickle", ".pt", ".pth", ".joblib")


def test_there_is_one_finished_run_a_method_with_all_that_identifies_it(finished: Path) -> None:
    found = runs_of(finished)
    assert set(found) == {"vae", "gan"}
    for method, run in found.items():
        assert run.info.status == "FINISHED"
        assert {
            "fid",
            "fid_low",
            "fid_high",
            "fid_floor",
            "is",
            "images_per_second",
            "training_seconds",
        } <= set(run.data.metrics)
        assert run.data.params["train.seed"] == "0" and run.data.params["runtime.arithmetic"] == "portable"
        assert {"mlflow.source.git.commit", "machine.cpu", "aigc.weights_sha256", "aigc.fingerprint"} <= set(
            run.data.tags
        )
        assert run.inputs.dataset_inputs[0].dataset.name == "data/processed/train"
        assert run.data.tags["aigc.method"] == method
        assert (
            any(name.startswith("system/") for name in run.data.metrics)
            or run.info.end_time - run.info.start_time < 10_000
        )


def test_every_step_was_logged_once(finished: Path) -> None:
    client = mlflow.MlflowClient(f"sqlite:///{finished / 'mlflow.db'}")
    rows = {"vae": 8, "gan": 10}  # of history: 24 steps, 94 steps
    for method, run in runs_of(finished).items():
        for key in (
            "images",
            *(name for name in run.data.metrics if name.startswith(("loss/", "learning_rate/"))),
        ):
            steps = [point.step for point in client.get_metric_history(run.info.run_id, key)]
            assert len(steps) == len(set(steps)) == rows[method], (key, steps)


def test_samples_over_training_and_sources_are_artifacts_and_nothing_is_pickled(finished: Path) -> None:
    artifacts = [
        path.relative_to(finished / "mlruns").as_posix()
        for path in (finished / "mlruns").rglob("*")
        if path.is_file()
    ]
    assert not [path for path in artifacts if path.endswith(PICKLED)]
    for run in runs_of(finished).values():
        own = [path for path in artifacts if run.info.run_id in path]
        assert sum("/images/samples+step+" in path and path.endswith(".png") for path in own) >= 2
        assert any(path.endswith("source/params.yaml") for path in own)
        assert any(path.endswith("evaluation/samples.png") for path in own)


def test_fid_of_the_samples_while_training_is_a_curve_of_the_run(finished: Path) -> None:
    client = mlflow.MlflowClient(f"sqlite:///{finished / 'mlflow.db'}")
    evaluator = json.loads((finished / "reports/metrics/evaluator.json").read_text())["weights_sha256"]
    for run in runs_of(finished).values():
        points = client.get_metric_history(run.info.run_id, "watch_fid")
        steps = {point.step for point in client.get_metric_history(run.info.run_id, "images")}
        assert points and {point.step for point in points} <= steps
        assert all(point.value > 0 for point in points)
        assert run.data.tags["aigc.watch_extractor"] == evaluator


def start_training(project: Path) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "PYTHONPATH": "src",
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    return subprocess.Popen(
        [sys.executable, "-m", "aigc.stages", "train", "gan"],
        cwd=project,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for_checkpoint(project: Path, stage: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 90
    while not list(project.glob(".checkpoints/gan-*/*.safetensors")):
        assert stage.poll() is None, stage.stderr.read() if stage.stderr else ""
        assert time.monotonic() < deadline, "no checkpoint came"
        time.sleep(0.02)


def test_a_terminated_and_a_killed_training_go_on_as_one_run_to_the_same_bytes(project: Path) -> None:
    weights = (project / "models/gan/model.safetensors").read_bytes()
    shutil.rmtree(project / ".checkpoints")
    stage = start_training(project)
    wait_for_checkpoint(project, stage)
    stage.send_signal(signal.SIGTERM)
    _, message = stage.communicate(timeout=60)
    assert stage.returncode == 143, message
    assert message.strip().splitlines()[-1].startswith("error: train gan: stopped by signal 15 at step ")
    assert runs_of(project)["gan"].info.status == "KILLED"

    stage = start_training(project)
    assert stage.stderr
    while "resumed at step" not in (line := stage.stderr.readline()):
        assert line, "it did not resume"
    stage.kill()
    stage.wait()

    done = run_in(project, "python", "-m", "aigc.stages", "train", "gan", PYTHONPATH="src")
    assert "resumed at step" in done.stderr
    assert (project / "models/gan/model.safetensors").read_bytes() == weights
    run = runs_of(project)["gan"]
    assert run.info.status == "FINISHED"
    client = mlflow.MlflowClient(f"sqlite:///{project / 'mlflow.db'}")
    steps = [point.step for point in client.get_metric_history(run.info.run_id, "images")]
    assert steps == sorted(set(steps)) and len(steps) == 10
    grids = [
        item.path for item in client.list_artifacts(run.info.run_id, "images") if item.path.endswith(".png")
    ]
    assert len(grids) == len({path.partition("timestamp")[0] for path in grids}) >= 2


@pytest.mark.parametrize(
    ("written_by", "goes_on"),
    [
        ("{host}:{here}", True),
        ("1f2e3d:{here}", True),
        ("machine-0123:{here}", False),
        ("{host}:/another/place", False),
    ],
)
def test_a_killed_run_is_gone_on_with_where_it_was_begun_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written_by: str, goes_on: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    client, experiment = store.open_store()
    name = written_by.format(host=killed.host(), here=tmp_path)
    tags = {killed.WRITER: name, "aigc.method": "gan", "aigc.fingerprint": "0123"}
    left = client.create_run(experiment, tags=tags).info.run_id
    client.set_terminated(left, "KILLED")
    content, files = description(tags, {}, tmp_path, "d" * 64, {})
    content |= {
        "tags": {**tags, killed.WRITER: killed.writer_tag()},
        "is_repeat": False,
        "started": 1,
        "name": "gan",
    }
    continued = StoreWriter(client, experiment, {})
    continued.begin(content, files)
    assert (continued.run_id == left) == goes_on
