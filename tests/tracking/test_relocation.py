"""A store that was moved names the place where it lies; models load from there, and are checked."""

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

from aigc.core.errors import StorageError
from aigc.tracking import relocation
from projects import run_in
from stores import CODE, runs_of

PORT = 5931


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("file:///old/place/mlruns/1/artifacts", "file:///new%20place/mlruns/1/artifacts"),
        ("/old/place/mlruns/0", "/new place/mlruns/0"),
        ("/old/mlruns/project/mlruns", "/new place/mlruns"),
        ("s3://bucket/mlruns/1", "s3://bucket/mlruns/1"),
        ("mlflow-artifacts:/1/mlruns", "mlflow-artifacts:/1/mlruns"),
        ("/old/mlruns-of-others/1", "/old/mlruns-of-others/1"),
    ],
)
def test_only_what_lay_under_a_local_mlruns_moves(before: str, after: str) -> None:
    assert relocation.relocated(before, Path("/new place")) == after


def test_a_folder_without_a_store_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"mlflow\.db: missing; bring mlflow\.db and mlruns/ together"):
        relocation.run(tmp_path)


@pytest.fixture
def moved(finished: Path, tmp_path: Path) -> Path:
    """A store that was used in one folder and then moved to another: nothing lies at the old place."""
    first, second = tmp_path / "first place", tmp_path / "second place"
    for folder in (first, second):
        folder.mkdir()
    shutil.copy(finished / "mlflow.db", first)
    shutil.copytree(finished / "mlruns", first / "mlruns")
    relocation.run(first)
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
    ui = subprocess.Popen(
        [sys.executable, "-m", "mlflow", "ui", "--port", str(PORT), "--workers", "1"],
        cwd=moved,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
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
def test_a_moved_store_shows_its_artifacts_in_the_ui_and_its_models_load(
    moved: Path, server: str, finished: Path
) -> None:
    run = runs_of(moved)["gan"]
    model_id = run.outputs.model_outputs[0].model_id
    grid = urllib.request.urlopen(
        f"{server}/get-artifact?path=evaluation/samples.png&run_uuid={run.info.run_id}"
    ).read()
    assert grid == (finished / "reports/plots/gan/samples.png").read_bytes()
    listed = json.load(
        urllib.request.urlopen(f"{server}/ajax-api/2.0/mlflow/logged-models/{model_id}/artifacts/directories")
    )
    assert "MLmodel" in {Path(entry["path"]).name for entry in listed["files"]}
    run_in(
        moved.parent,
        sys.executable,
        "-c",
        LOAD,
        moved,
        f"models:/{model_id}",
        f"runs:/{run.info.run_id}/model",
        "models:/digits/1",
    )
    old = str(moved.parent / "first place").encode(), b"first%20place"
    assert not [
        path
        for path in (moved / "mlruns").rglob("MLmodel")
        if any(
            b"artifact_path: " in row and name in row
            for row in path.read_bytes().splitlines()
            for name in old
        )
    ]


def test_a_changed_byte_of_a_logged_model_is_refused_when_mlflow_loads_it(moved: Path) -> None:
    relocation.run(moved)
    run = runs_of(moved)["gan"]
    model_id = run.outputs.model_outputs[0].model_id
    (weights,) = (moved / "mlruns/models" / model_id).rglob("model.safetensors")
    content = weights.read_bytes()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    done = run_in(moved, sys.executable, "-c", LOAD, moved, f"models:/{model_id}", check=False)
    assert done.returncode != 0
    assert f"{weights}: sha256 is" in done.stderr
