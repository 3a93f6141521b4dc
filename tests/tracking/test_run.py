"""What MLflow remembers of the finished run, read with MLflow alone."""

import functools
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import mlflow
import psutil
import pytest
from mlflow.entities import Run

from aigc.core.errors import AigcError
from aigc.tracking import store, ui
from conftest import ROOT, environment_of, run_in

PICKLED = (".pkl", ".pickle", ".pt", ".pth", ".joblib")


def runs_of(project: Path) -> dict[str, Run]:
    client = mlflow.MlflowClient(f"sqlite:///{project / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("aigc")
    found = client.search_runs([experiment.experiment_id])
    return {run.data.tags["aigc.method"]: run for run in found}


def test_there_is_one_finished_run_a_method_with_all_that_identifies_it(finished: Path) -> None:
    found = runs_of(finished)
    assert set(found) == {"vae", "gan"}
    for method, run in found.items():
        assert run.info.status == "FINISHED"
        assert {"fid", "fid_low", "fid_high", "fid_floor", "is", "images_per_second", "training_seconds"} <= set(run.data.metrics)
        assert run.data.params["train.seed"] == "0" and run.data.params["runtime.arithmetic"] == "portable"
        assert {"mlflow.source.git.commit", "machine.cpu", "aigc.weights_sha256", "aigc.fingerprint"} <= set(run.data.tags)
        assert run.inputs.dataset_inputs[0].dataset.name == "data/processed/train"
        assert run.data.tags["aigc.method"] == method
        assert any(name.startswith("system/") for name in run.data.metrics) or run.info.end_time - run.info.start_time < 10_000


def test_every_step_was_logged_once(finished: Path) -> None:
    client = mlflow.MlflowClient(f"sqlite:///{finished / 'mlflow.db'}")
    for run in runs_of(finished).values():
        for key in ("images", *(name for name in run.data.metrics if name.startswith(("loss/", "learning_rate/")))):
            steps = [point.step for point in client.get_metric_history(run.info.run_id, key)]
            assert len(steps) == len(set(steps)) == 8, (key, steps)


def test_samples_over_training_and_sources_are_artifacts_and_nothing_is_pickled(finished: Path) -> None:
    artifacts = [path.relative_to(finished / "mlruns").as_posix() for path in (finished / "mlruns").rglob("*") if path.is_file()]
    assert not [path for path in artifacts if path.endswith(PICKLED)]
    for run in runs_of(finished).values():
        own = [path for path in artifacts if run.info.run_id in path]
        assert sum("/images/samples+step+" in path and path.endswith(".png") for path in own) == 4
        assert any(path.endswith("source/params.yaml") for path in own)
        assert any(path.endswith("evaluation/samples.png") for path in own)


def test_artifacts_lie_beside_the_database_wherever_it_is() -> None:
    assert store.artifact_root("sqlite:////store/mlflow.db") == "file:///store/mlruns"
    assert store.artifact_root("http://127.0.0.1:5000") is None


def test_what_is_no_database_is_one_line_that_names_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mlflow.db").write_bytes(b"no database" * 1000)
    with pytest.raises(AigcError, match=r"mlflow\.db does not answer") as told:
        store.open_store()
    assert "\n" not in str(told.value)


def test_a_kill_while_the_store_is_made_leaves_none_or_a_whole_one(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from aigc.tracking import runs; print(store.open_store()[1])"]
    environment = environment_of(PYTHONPATH=str(ROOT / "src"))
    making = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL)
    while not (unfinished := list(tmp_path.glob(".mlflow.db.*.tmp"))) or unfinished[0].stat().st_size < 100_000:
        assert making.poll() is None, "it ended before it could be killed"
        time.sleep(0.01)
    making.kill()
    making.wait()
    assert not (tmp_path / "mlflow.db").exists()
    assert subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True).stdout.strip() == "1"


@pytest.mark.parametrize(("said", "meant"), [
    ("", "sqlite:///{home}/mlflow.db"), ("sqlite:///mlflow.db", "sqlite:///{home}/mlflow.db"), ("sqlite:///a/b.db", "sqlite:///{home}/a/b.db"),
    ("sqlite:////store/mlflow.db", "sqlite:////store/mlflow.db"), ("https://mlflow.example.org", "https://mlflow.example.org")])
def test_a_store_is_the_same_in_a_temporary_checkout_as_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, meant: str) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", said)
    for folder in (tmp_path, tmp_path / ".dvc/tmp/exps/one"):
        folder.mkdir(parents=True, exist_ok=True)
        monkeypatch.chdir(folder)
        assert store.store_uri() == meant.format(home=tmp_path)


PREDICT = """
import os, sys
os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
import mlflow, pandas as pd, io
from PIL import Image
mlflow.set_tracking_uri(sys.argv[1])
model = mlflow.pyfunc.load_model(sys.argv[2])
answer = model.predict(pd.DataFrame({"n": [2, 1], "label": [-1, -1], "seed": [0, 0]}))
assert list(answer.columns) == ["index", "label", "png"], answer.columns
assert [Image.open(io.BytesIO(png)).size for png in answer["png"]] == [(28, 28)] * 3
assert answer["png"][0] == answer["png"][2] != answer["png"][1]
for count, seed, says in ((0, 0, "n must be between 1 and"), (1, -1, "seed must be a whole number from 0 to")):
    try:
        model.predict(pd.DataFrame({"n": [count], "label": [-1], "seed": [seed]}))
    except mlflow.exceptions.MlflowException as error:
        assert says in str(error), error
    else:
        raise AssertionError(f"n = {count}, seed = {seed} were accepted")
"""


def test_the_model_loads_and_predicts_in_a_process_that_has_only_mlflow(finished: Path, tmp_path: Path) -> None:
    outputs = runs_of(finished)["gan"].outputs.model_outputs
    run_in(tmp_path, sys.executable, "-c", PREDICT, f"sqlite:///{finished / 'mlflow.db'}", f"models:/{outputs[0].model_id}")


def start_training(project: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": "src", "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    return subprocess.Popen([sys.executable, "-m", "aigc.stages", "train", "gan"], cwd=project, env=environment,
                            stderr=subprocess.PIPE, text=True)


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
    assert steps == sorted(set(steps)) and len(steps) == 8
    grids = [item.path for item in client.list_artifacts(run.info.run_id, "images") if item.path.endswith(".png")]
    assert len(grids) == len({path.partition("timestamp")[0] for path in grids}) >= 3


@contextmanager
def ui_of(folder: Path, port: int, end: signal.Signals = signal.SIGINT) -> Iterator[str]:
    """`aigc ui` on the store of a folder, ended by a signal that leaves nothing behind: the address that it prints."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    # What a shell starts in the background ignores SIGINT, and so does all that it starts.
    heed = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    server = subprocess.Popen([sys.executable, "-m", "aigc", "ui", "--port", str(port)], cwd=folder, env=environment,
                              stdout=subprocess.PIPE, text=True, preexec_fn=heed)
    assert server.stdout
    server.stdout.readline()
    try:
        yield server.stdout.readline().strip()
    finally:
        started = psutil.Process(server.pid).children(recursive=True)
        server.send_signal(end)
        assert server.wait(timeout=30) == 0
        assert started and not psutil.wait_procs(started, 5)[1]


def test_a_port_that_another_server_has_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as other:
        for port in (other.getsockname()[1], 65536):
            with pytest.raises(AigcError, match=rf"^--port {port}: cannot be had \(.*\); name another$"):
                ui.serve(port)


@pytest.mark.slow
def test_a_server_of_ones_own_is_only_pointed_at(tmp_path: Path) -> None:
    with ui_of(tmp_path, 5918, signal.SIGTERM) as address:
        pointed = run_in(tmp_path, "python", "-m", "aigc", "ui", "--port", 5918, PYTHONPATH=str(ROOT / "src"),
                         MLFLOW_TRACKING_URI=address.partition("/#/")[0])
        assert pointed.stdout.splitlines()[1].strip() == address


@pytest.fixture
def server(finished: Path) -> Iterator[str]:
    with ui_of(finished, 5917) as address:
        yield address


def test_the_printed_view_shows_method_fid_is_and_params_of_every_run(server: str, browser: "object") -> None:
    page = browser.new_page(viewport={"width": 1600, "height": 900})
    page.goto(server)
    page.get_by_role("columnheader", name="fid").first.wait_for(timeout=60_000)
    headers = " ".join(page.get_by_role("columnheader").all_inner_texts())
    for column in ("aigc.method", "fid", "is", "images", "batch_size", "train.seed"):
        assert column in headers
    page.close()
