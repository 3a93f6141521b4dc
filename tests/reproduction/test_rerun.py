"""A run says what it was made from; made again from that, it is the same."""

import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from aigc.reproduction import rerun
from aigc.workspace import machine
from projects import ROOT, environment_of, run_in

NEWEST = """
import sys, mlflow
client = mlflow.MlflowClient(sys.argv[1])
print(client.search_runs([client.get_experiment_by_name("aigc").experiment_id])[0].info.run_id)
"""
REPRODUCE = (sys.executable, "-m", "aigc", "reproduce")


def test_a_difference_of_the_environment_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import numpy

    requirements = tmp_path / "requirements.lock"
    requirements.write_text(
        f"numpy=={numpy.__version__} \\\n    --hash=sha256:00\n"
        "pandas==0.1 ; python_version > '3' \\\n    --hash=sha256:00\n"
        "colorama==1 ; sys_platform == 'win32'\nno-such-package==2\n    # via nothing\n"
    )
    same = {f"machine.{key}": value for key, value in machine.describe().items()}
    found = rerun.environment_differences(
        {**same, "machine.cpu": "abacus", "aigc.method": "gan"}, requirements
    )
    assert set(found) == {"cpu", "pandas", "no-such-package"}
    assert found["no-such-package"] == ["2", "not installed"]
    rerun.print_environment(found)
    assert "environment: cpu: `abacus` then, `" in capsys.readouterr().err
    requirements.write_text("")
    assert rerun.environment_differences(same, requirements) == {}


@pytest.fixture(scope="module")
def tried(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose last run had an uncommitted change, an untracked file and a param; they are gone."""
    folder = tmp_path_factory.mktemp("tried") / "project"
    shutil.copytree(finished, folder, symlinks=True)
    change(folder)
    run_in(folder, "dvc", "repro", "evaluate@gan")
    forget(folder)
    moved = folder.with_name("moved")
    folder.rename(moved)
    return moved


def change(folder: Path) -> None:
    params, page = folder / "params.yaml", folder / "src/aigc/methods/gan.py"
    seed = "  seed: 0                   # 0 to 2^32 - 1: weights"
    assert seed in params.read_text()
    params.write_text(params.read_text().replace(seed, "  seed: 3                   # weights"))
    page.write_text(
        page.read_text() + "\n\nfrom aigc.methods import scaled  # noqa: E402\n\nassert scaled.FACTOR\n"
    )
    (folder / "src/aigc/methods/scaled.py").write_bytes("# größer\r\nFACTOR = 1\r\n".encode())


def forget(folder: Path) -> None:
    run_in(folder, "git", "checkout", "-q", ".")
    run_in(folder, "git", "clean", "-qfd", "src")


def newest_run(folder: Path) -> str:
    with sqlite3.connect(folder / "mlflow.db") as store:
        return str(store.execute("select run_uuid from runs order by start_time desc").fetchone()[0])


@pytest.mark.slow
def test_a_run_of_uncommitted_work_is_made_again_though_its_store_was_moved(tried: Path) -> None:
    done = run_in(tried, *REPRODUCE, newest_run(tried), PYTHONPATH="src")
    assert "identical: weights and" in done.stderr
    assert "environment: the same" in done.stderr
    assert "weights of gan: identical" in done.stdout
    assert "checkout" not in run_in(tried, "git", "worktree", "list").stdout


@pytest.mark.slow
def test_a_run_whose_recorded_weights_are_others_differs_and_the_stage_is_named(tried: Path) -> None:
    run_id = newest_run(tried)
    with sqlite3.connect(tried / "mlflow.db") as store:
        store.execute(
            "update tags set value = ? where key = 'aigc.weights_sha256' and run_uuid = ?", ("0" * 64, run_id)
        )
    done = run_in(tried, *REPRODUCE, run_id, check=False, PYTHONPATH="src")
    assert done.returncode == 1
    assert f"error: run {run_id} differs, first train@gan" in done.stderr


def test_an_unknown_run_is_one_line(tmp_path: Path) -> None:
    run_in(tmp_path, "git", "init", "-q")
    (tmp_path / "dvc.yaml").write_text("# aigc.stages\n")
    (tmp_path / "params.yaml").touch()
    done = run_in(tmp_path, *REPRODUCE, "0123", check=False, PYTHONPATH=str(ROOT / "src"))
    assert done.returncode == 1
    assert (
        done.stderr.strip()
        .splitlines()[-1]
        .startswith(f"error: the MLflow store sqlite:///{tmp_path}/mlflow.db has no run 0123")
    )


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """A real MLflow server with a store of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{tmp_path}/server.db",
               "--artifacts-destination", str(tmp_path / "kept"), "--port", str(port), "--workers", "1"]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment_of(MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 180
    while subprocess.run(
        ["curl", "-sf", f"http://127.0.0.1:{port}/health"], capture_output=True, check=False
    ).returncode:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.5)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(timeout=60)


@pytest.mark.slow
def test_a_run_on_a_server_is_made_again_in_another_clone(project: Path, server: str, tmp_path: Path) -> None:
    change(project)
    run_in(project, "dvc", "repro", "train@gan", MLFLOW_TRACKING_URI=server)
    forget(project)
    run_in(tmp_path, "git", "clone", "-q", project, tmp_path / "clone")
    run_id = run_in(tmp_path, sys.executable, "-c", NEWEST, server).stdout.split()[-1]
    done = run_in(tmp_path / "clone", *REPRODUCE, run_id, MLFLOW_TRACKING_URI=server, PYTHONPATH="src")
    assert "identical: weights of gan" in done.stderr
