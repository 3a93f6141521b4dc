"""Where MLflow's store is, and that it is there whole or not at all."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from aigc.core.errors import AigcError
from aigc.tracking import finished, relocation, store
from projects import ROOT, environment_of, run_in
from stores import CODE


def test_artifacts_lie_beside_the_database_wherever_it_is() -> None:
    assert store.artifact_root("sqlite:////store/mlflow.db") == "file:///store/mlruns"
    assert store.artifact_root("http://127.0.0.1:5000") is None


def test_what_is_no_database_is_one_line_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mlflow.db").write_bytes(b"no database" * 1000)
    with pytest.raises(AigcError, match=r"mlflow\.db does not answer") as told:
        store.open_store()
    assert "\n" not in str(told.value)


def test_a_kill_while_the_store_is_made_leaves_none_or_a_whole_one(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "from aigc.tracking import store; print(store.open_store()[1])"]
    environment = environment_of(PYTHONPATH=str(ROOT / "src"))
    making = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL)
    while (
        not (unfinished := list(tmp_path.glob(".mlflow.db.*.tmp"))) or unfinished[0].stat().st_size < 100_000
    ):
        assert making.poll() is None, "it ended before it could be killed"
        time.sleep(0.01)
    making.kill()
    making.wait()
    assert not (tmp_path / "mlflow.db").exists()
    assert (
        subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        ).stdout.strip()
        == "1"
    )


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("", "sqlite:///{home}/mlflow.db"),
        ("sqlite:///mlflow.db", "sqlite:///{home}/mlflow.db"),
        ("sqlite:///a/b.db", "sqlite:///{home}/a/b.db"),
        ("sqlite:////store/mlflow.db", "sqlite:////store/mlflow.db"),
        ("https://mlflow.example.org", "https://mlflow.example.org"),
    ],
)
def test_a_store_is_the_same_in_a_temporary_checkout_as_at_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, meant: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", said)
    for folder in (tmp_path, tmp_path / ".dvc/tmp/exps/one"):
        folder.mkdir(parents=True, exist_ok=True)
        monkeypatch.chdir(folder)
        assert store.store_uri() == meant.format(home=tmp_path)


NAMES = (
    "what?now",
    "a#b",
    "100%",
    "job_feature%2Fx",
    "a b'\"c",
    "ü ö",
    "x;y&z+w",
    "@host:8",
    "..%2e",
    "mlruns",
    "sqlite:",
    "new\nline",
)


@pytest.mark.parametrize("name", NAMES)
def test_the_store_is_in_its_folder_whatever_the_folder_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for checkout in (tmp_path / name, tmp_path / name / ".dvc/tmp/exps/one"):
        checkout.mkdir(parents=True)
        monkeypatch.chdir(checkout)
        client, experiment = store.open_store()
        run_id = client.create_run(experiment, tags={finished.WEIGHTS: "a" * 64}).info.run_id
        client.log_text(run_id, "x", "source/params.yaml")
        client.set_terminated(run_id)
    assert len(finished.of_weights(client, experiment, "a" * 64)) == 2
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert {path.name for path in (tmp_path / name).iterdir()} == {
        "mlflow.db",
        "mlruns",
        ".checkpoints",
        ".dvc",
    }

    moved = tmp_path / f"{name} moved"
    (tmp_path / name).rename(moved)
    monkeypatch.chdir(moved)
    monkeypatch.delenv("MLFLOW_TRACKING_URI")  # MLflow set it to the old place
    assert relocation.run(Path()) == 0
    client, run = finished.read_run(run_id)
    assert (Path(client.download_artifacts(run_id, "source")) / "params.yaml").read_text() == "x"
    found = finished.artifacts(client, run, finished.SOURCE, tmp_path)
    assert found == moved / "mlruns" / run_id / "artifacts/source"


def test_a_run_beyond_the_first_page_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(store, "PAGE", 2)
    client, experiment = store.open_store()
    made = [
        client.create_run(experiment, start_time=n + 1, tags={finished.WEIGHTS: "a" * 64}).info.run_id
        for n in range(5)
    ]
    for run_id in made:
        client.set_terminated(run_id)
    assert [run.info.run_id for run in finished.of_weights(client, experiment, "a" * 64)] == made[::-1]
    assert {run.run_id for run in finished.every()} == set(made)


@pytest.mark.parametrize(
    "uri",
    [
        "http://user:{password}@127.0.0.1:9/mlflow",
        "postgresql://127.0.0.1:9/mlflow?user=u&password={password}",
        *(pytest.param(uri, marks=pytest.mark.slow) for uri in (
            "http://{password}@127.0.0.1:9",
            "https://user:{password}@nowhere.invalid",
            "postgresql://user:{password}@127.0.0.1:9/mlflow",
            "mysql+nothing://user:{password}@127.0.0.1:9/mlflow",
            "postgresql://user:a:{password}@127.0.0.1:x/mlflow",
        )),
    ],
)
def test_no_command_prints_the_password_of_a_store_that_does_not_answer(tmp_path: Path, uri: str) -> None:
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "models/gan").mkdir(parents=True)
    for command in (["runs"], ["sync"], ["ui"], ["generate", "--model", "0" * 32, "--out", "out"]):
        done = run_in(
            tmp_path,
            "python",
            "-m",
            "aigc",
            "--debug",
            *command,
            check=False,
            **CODE,
            MLFLOW_TRACKING_URI=uri.format(password="pa%2Fss-w0rd"),
        )
        assert done.returncode == 1
        assert "MLFLOW_TRACKING_URI" in done.stderr or "MLflow store" in done.stderr
        assert not [
            secret
            for secret in ("pa%2Fss-w0rd", "pa/ss-w0rd", "ss-w0rd")
            if secret in done.stdout + done.stderr
        ], done.stderr


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "localhost,127.0.0.1,127.0.0.0/8,::1"),
        ("example.org", "example.org,localhost,127.0.0.1,127.0.0.0/8,::1"),
        ("*", "*"),
    ],
)
def test_no_proxy_stands_before_this_machine(tmp_path: Path, before: str, after: str) -> None:
    program = (
        "import os, aigc.tracking; print(os.environ['NO_PROXY'], "
        "os.environ.get('MLFLOW_HTTP_REQUEST_TIMEOUT'))"
    )
    environment = {"NO_PROXY": before, "no_proxy": before, "MLFLOW_HTTP_REQUEST_TIMEOUT": "99"}
    assert run_in(tmp_path, "python", "-c", program, **CODE, **environment).stdout.split() == [after, "99"]
