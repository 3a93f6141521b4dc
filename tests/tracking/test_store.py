"""Where MLflow's store is, and that it is there whole or not at all."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from aigc.core.errors import AigcError
from aigc.tracking import store
from conftest import ROOT, environment_of


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
    command = [sys.executable, "-c", "from aigc.tracking import store; print(store.open_store()[1])"]
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
