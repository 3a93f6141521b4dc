"""MLflow's store after DVC restored models, after a kill, and after a move: seen through MLflow alone."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import mlflow
import pytest
from mlflow.entities import Run

from aigc.commands import relocate, sync
from aigc.commands.sync import flat
from aigc.core.errors import StorageError
from commands.small import committed_params, write_model
from conftest import ROOT, run_in

CODE = {"PYTHONPATH": str(ROOT / "src")}
VARIES = ("images_per_second", "sampling_images_per_second", "training_seconds", "system/")
PORT = 5931


def client_of(project: Path) -> mlflow.MlflowClient:
    return mlflow.MlflowClient(f"sqlite:///{project / 'mlflow.db'}")


def runs_of(project: Path) -> dict[str, Run]:
    client = client_of(project)
    return {run.data.tags["aigc.method"]: run for run in client.search_runs([client.get_experiment_by_name("aigc").experiment_id])}


def curves(project: Path, run: Run) -> dict[str, list[tuple[int, float]]]:
    client = client_of(project)
    return {name: sorted((point.step, point.value) for point in client.get_metric_history(run.info.run_id, name))
            for name in run.data.metrics if not name.startswith(VARIES)}


def test_metrics_are_sent_flat_as_evaluate_sends_them() -> None:
    assert flat({"fid": {"value": 9, "low": 8.5}, "protocol": {"n": 3}, "words": "x"}) == {"fid": 9.0, "fid_low": 8.5}


def test_a_method_that_params_yaml_no_longer_names_is_none_of_syncs_though_dvc_lock_keeps_it(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\nno_scm = true\n")
    (tmp_path / "params.yaml").write_text("methods: [gan]\n")
    stage = "{cmd: x, params: {params.yaml: {}}, outs: [{path: models/cgan, hash: md5, md5: 0.dir, size: 1, nfiles: 1}]}"
    (tmp_path / "dvc.lock").write_text(f"schema: '2.0'\nstages: {{train@cgan: {stage}}}\n")
    assert sync.run() == 0
    assert "cgan" not in capsys.readouterr().out
    for content in ((tmp_path / "dvc.lock").read_text()[:-9], "<<<<<<< ours\nstages: {}\n", "schema: '2.0'\n"):
        (tmp_path / "dvc.lock").write_text(content)
        with pytest.raises(StorageError, match=r"dvc\.lock: (was cut|not what DVC writes)"):
            sync.run()


@pytest.mark.parametrize("seed", [0, 7])
def test_a_run_of_a_restored_model_has_the_locks_params_and_what_params_yaml_says_otherwise_now_is_told(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    from aigc.tracking import store

    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    for name in ("requirements.lock", "dvc.lock"):
        (tmp_path / name).touch()
    write_model(tmp_path / "models", "gan")
    (tmp_path / "reports/plots/gan").mkdir(parents=True)
    (tmp_path / "reports/plots/gan/history.csv").write_text("step,images\n1,64\n")
    content = committed_params()
    params = {"params.yaml": {"gan": content["gan"], "train": {**content["train"], "seed": seed}, "runtime": content["runtime"]}}
    client, experiment = store.open_store()
    told = sync._tell("gan", params, set(), client, experiment)
    assert told.endswith("is today's, with another train.seed" if seed else "made, marked as restored")
    assert runs_of(tmp_path)["gan"].data.params["train.seed"] == str(seed)


@pytest.mark.slow
def test_models_that_dvc_restored_get_a_run_each_that_tells_what_training_told_and_only_once(project: Path, finished: Path) -> None:
    before = runs_of(finished)
    done = run_in(project, "python", "-m", "aigc", "sync", **CODE)
    assert done.stdout.count("made, marked as restored") == len(before)
    restored = runs_of(project)
    assert set(restored) == set(before)
    for method, run in restored.items():
        assert run.info.status == "FINISHED" and run.data.tags["aigc.restored"] == "true"
        assert run.data.params == before[method].data.params
        assert curves(project, run) == curves(finished, before[method])
        assert run.data.tags["aigc.weights_sha256"] == before[method].data.tags["aigc.weights_sha256"]
        assert run.inputs.dataset_inputs[0].dataset.digest == before[method].inputs.dataset_inputs[0].dataset.digest
        assert {item.path for item in client_of(project).list_artifacts(run.info.run_id, "evaluation")} == {
            "evaluation/samples.png", f"evaluation/{method}.json"}
    again = run_in(project, "python", "-m", "aigc", "sync", **CODE)
    assert again.stdout.count("tells of it already") == len(before)
    assert {run.info.run_id for run in runs_of(project).values()} == {run.info.run_id for run in restored.values()}

    # A picture finds its model there, when models/ holds it no more.
    run_in(project, "python", "-m", "aigc", "generate", "gan", "--n", 1, "--out", "out", **CODE)
    shutil.rmtree(project / "models/gan")
    told = run_in(project, "python", "-m", "aigc", "whence", "out/gan-seed0-000000.png", **CODE).stdout
    assert ": identical" in told and f"MLflow run {restored['gan'].info.run_id}" in told

    absent = run_in(project, "python", "-m", "aigc", "sync", check=False, **CODE)
    assert absent.returncode == 1
    assert absent.stderr.splitlines()[-1] == ("error: models/gan: not what dvc.lock names; `dvc checkout` or `dvc repro`, "
                                              "then `aigc sync` again")


def test_a_run_that_a_kill_left_running_becomes_killed_and_one_whose_writer_lives_does_not(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from aigc.core import process
    from aigc.tracking import store, writer

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    client, experiment = store.open_store()
    names = ("dead", "gone", "alive", "foreign", "namesake", "container")
    locks = {name: tmp_path / paths.training_lock(name, "0123") for name in names}
    for name in ("dead", "namesake", "container"):
        locks[name].parent.mkdir(parents=True)
        locks[name].touch()
    others = {"foreign": "elsewhere:/another/place", "namesake": f"machine-0123:{tmp_path}", "container": f"1f2e3d:{tmp_path}"}
    writers = {name: others.get(name, writer.writer_tag()) for name in names}
    made = {name: client.create_run(experiment, tags={writer.WRITER: writers[name], "aigc.method": name, "aigc.fingerprint": "0123"}).info.run_id
            for name in names}
    with process.only_writer(locks["alive"]):
        closed = {run.info.run_id for run in writer.close_abandoned(client, experiment)}
        assert closed == {made["dead"], made["gone"], made["container"]}
        assert {name: client.get_run(made[name]).info.status for name in made} == {
            "dead": "KILLED", "gone": "KILLED", "container": "KILLED", "alive": "RUNNING", "foreign": "RUNNING", "namesake": "RUNNING"}
        assert writer.close_abandoned(client, experiment) == []


@pytest.mark.parametrize(("writer", "goes_on"), [
    ("{host}:{here}", True), ("1f2e3d:{here}", True), ("machine-0123:{here}", False), ("{host}:/another/place", False)])
def test_a_killed_run_is_gone_on_with_where_it_was_begun_and_nowhere_else(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writer: str, goes_on: bool) -> None:
    from aigc.tracking import run, store, writer

    monkeypatch.chdir(tmp_path)
    client, experiment = store.open_store()
    tags = {writer.WRITER: writer.format(host=writer.host(), here=tmp_path), "aigc.method": "gan", "aigc.fingerprint": "0123"}
    killed = client.create_run(experiment, tags=tags).info.run_id
    client.set_terminated(killed, "KILLED")
    with run.training_run("gan", "0123", {}, tmp_path, "d" * 64) as run:
        assert (run.run_id == killed) == goes_on


@pytest.mark.parametrize(("before", "after"), [
    ("file:///old/place/mlruns/1/artifacts", "file:///new%20place/mlruns/1/artifacts"),
    ("/old/place/mlruns/0", "/new place/mlruns/0"),
    ("/old/mlruns/project/mlruns", "/new place/mlruns"),
    ("s3://bucket/mlruns/1", "s3://bucket/mlruns/1"),
    ("mlflow-artifacts:/1/mlruns", "mlflow-artifacts:/1/mlruns"),
    ("/old/mlruns-of-others/1", "/old/mlruns-of-others/1"),
])
def test_only_what_lay_under_a_local_mlruns_moves(before: str, after: str) -> None:
    assert relocate.relocated(before, Path("/new place")) == after


def test_a_folder_without_a_store_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"mlflow\.db: missing; bring mlflow\.db and mlruns/ together"):
        relocate.run(tmp_path)


@pytest.fixture
def moved(finished: Path, tmp_path: Path) -> Path:
    """A store that was used in one folder and then moved to another: nothing lies at the old place."""
    first, second = tmp_path / "first place", tmp_path / "second place"
    for folder in (first, second):
        folder.mkdir()
    shutil.copy(finished / "mlflow.db", first)
    shutil.copytree(finished / "mlruns", first / "mlruns")
    relocate.run(first)
    model_id = runs_of(first)["gan"].outputs.model_outputs[0].model_id
    mlflow.set_tracking_uri(f"sqlite:///{first / 'mlflow.db'}")
    mlflow.register_model(f"models:/{model_id}", "digits")
    (first / "mlflow.db").rename(second / "mlflow.db")
    (first / "mlruns").rename(second / "mlruns")
    return second


LOAD = """
import sys, mlflow, pandas as pd
mlflow.set_tracking_uri(f"sqlite:///{sys.argv[1]}/mlflow.db")
for uri in sys.argv[2:]:
    assert len(mlflow.pyfunc.load_model(uri).predict(pd.DataFrame({"n": [2]}))) == 2
"""


@pytest.fixture
def server(moved: Path) -> Iterator[str]:
    """MLflow's own UI, started in the folder of the moved store once `aigc relocate` was there."""
    done = run_in(moved, "python", "-m", "aigc", "relocate", **CODE)
    assert "first place, and are here now" in done.stdout
    assert "names this folder already" in run_in(moved, "python", "-m", "aigc", "relocate", **CODE).stdout
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    ui = subprocess.Popen([sys.executable, "-m", "mlflow", "ui", "--port", str(PORT), "--workers", "1"], cwd=moved, env=environment,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address, deadline = f"http://127.0.0.1:{PORT}", time.monotonic() + 120
    while True:
        try:
            urllib.request.urlopen(f"{address}/health", timeout=2)
            break
        except OSError:
            assert ui.poll() is None and time.monotonic() < deadline
            time.sleep(0.3)
    yield address
    ui.send_signal(signal.SIGTERM)
    ui.wait(timeout=30)


@pytest.mark.slow
def test_a_moved_store_shows_its_artifacts_in_the_ui_and_its_models_load(moved: Path, server: str, finished: Path) -> None:
    run = runs_of(moved)["gan"]
    model_id = run.outputs.model_outputs[0].model_id
    grid = urllib.request.urlopen(f"{server}/get-artifact?path=evaluation/samples.png&run_uuid={run.info.run_id}").read()
    assert grid == (finished / "reports/plots/gan/samples.png").read_bytes()
    listed = json.load(urllib.request.urlopen(f"{server}/ajax-api/2.0/mlflow/logged-models/{model_id}/artifacts/directories"))
    assert "MLmodel" in {Path(entry["path"]).name for entry in listed["files"]}
    run_in(moved.parent, sys.executable, "-c", LOAD, moved, f"models:/{model_id}", f"runs:/{run.info.run_id}/model", "models:/digits/1")
    old = str(moved.parent / "first place").encode(), b"first%20place"
    assert not [path for path in (moved / "mlruns").rglob("MLmodel") if any(b"artifact_path: " in row and name in row
                for row in path.read_bytes().splitlines() for name in old)]


def test_a_changed_byte_of_a_logged_model_is_refused_when_mlflow_loads_it(moved: Path) -> None:
    relocate.run(moved)
    run = runs_of(moved)["gan"]
    model_id = run.outputs.model_outputs[0].model_id
    (weights,) = (moved / "mlruns/models" / model_id).rglob("model.safetensors")
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    done = run_in(moved, sys.executable, "-c", LOAD, moved, f"models:/{model_id}", check=False)
    assert done.returncode != 0
    assert f"{weights}: sha256 is" in done.stderr


def test_a_model_is_promoted_and_one_that_failed_its_audit_is_not(finished: Path, tmp_path: Path) -> None:
    store = {"MLFLOW_TRACKING_URI": f"sqlite:///{shutil.copy(finished / 'mlflow.db', tmp_path)}", **CODE}
    done = run_in(finished, "python", "-m", "aigc", "promote", "gan", **store)
    assert "models:/aigc@champion is version 1: gan of run" in done.stdout
    client = mlflow.MlflowClient(store["MLFLOW_TRACKING_URI"])
    experiment = client.get_experiment_by_name("aigc")
    assert experiment is not None
    run, = client.search_runs([experiment.experiment_id], "tags.`aigc.method` = 'vae'")
    client.set_tag(run.info.run_id, "aigc.memorization", "failed")
    refused = run_in(finished, "python", "-m", "aigc", "promote", "vae", check=False, **store)
    assert refused.returncode == 1
    assert refused.stderr.strip().splitlines()[-1] == f"error: run {run.info.run_id}: its memorization audit is failed; not promoted"
    assert client.get_model_version_by_alias("aigc", "champion").run_id != run.info.run_id
