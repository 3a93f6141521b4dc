"""A training survives its tracker: real servers that are dead, hang or fail, a locked and a full database.
Nothing is logged twice.
"""

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import mlflow
import psutil
import pytest

from aigc import cli
from aigc.tracking.journal import Entry, Journal
from projects import environment_of, run_in
from stores import CODE

STEPS = 10  # rows of history of the small training
PASSWORD = "sEcr3t-0"
HOSTILE = {
    "http_proxy": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "ALL_PROXY": "http://127.0.0.1:9",
}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


@contextmanager
def broken_server(answer: bytes | None) -> Iterator[int]:
    """A server that gives this answer to everything, or accepts and never answers: its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        held = []

        def serve() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    held.append(connection)
                    if answer is not None:
                        connection.recv(1 << 16)
                        connection.sendall(answer)
                        connection.close()

        threading.Thread(target=serve, daemon=True).start()
        yield int(listener.getsockname()[1])
        for connection in held:
            connection.close()


@contextmanager
def mlflow_server(folder: Path, port: int) -> Iterator[str]:
    """MLflow's own server with its store in `folder`: its address."""
    folder.mkdir(exist_ok=True)
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--port",
        str(port),
        "--workers",
        "1",
        "--backend-store-uri",
        f"sqlite:///{folder / 'server.db'}",
        "--artifacts-destination",
        str(folder / "artifacts"),
    ]
    server = subprocess.Popen(
        command,
        cwd=folder,
        env=environment_of(MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address, deadline = f"http://127.0.0.1:{port}", time.monotonic() + 120
    try:
        while True:
            try:
                urllib.request.urlopen(f"{address}/health", timeout=2)
                break
            except OSError:
                assert server.poll() is None and time.monotonic() < deadline, "the server did not start"
                time.sleep(0.2)
        yield address
    finally:
        processes = [*psutil.Process(server.pid).children(recursive=True), psutil.Process(server.pid)]
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        server.wait()


def start(project: Path, **environment: str) -> "subprocess.Popen[str]":
    """The training of gan, started afresh, up to its first checkpoint."""
    stage = subprocess.Popen(
        [sys.executable, "-m", "aigc.stages", "train", "gan"],
        cwd=project,
        stderr=subprocess.PIPE,
        text=True,
        env=environment_of(PYTHONPATH="src", **environment),
    )
    deadline = time.monotonic() + 120
    while not list(project.glob(".checkpoints/gan-*/0*.safetensors")):
        assert stage.poll() is None and time.monotonic() < deadline, "no checkpoint came"
        time.sleep(0.02)
    return stage


def train(project: Path, **environment: str) -> str:
    """What the training of gan says on stderr. It must end well."""
    return run_in(
        project, "python", "-m", "aigc.stages", "train", "gan", PYTHONPATH="src", **environment
    ).stderr


def check(uri: str, project: Path) -> None:
    """The store has one whole run of gan, each step and picture once, and nothing waits on disk."""
    client = mlflow.MlflowClient(uri)
    experiment = client.get_experiment_by_name("aigc")
    (run,) = client.search_runs([experiment.experiment_id], "tags.`aigc.method` = 'gan'")
    assert run.info.status == "FINISHED"
    for key in ("images", "loss/generator", "training_seconds"):
        steps = [point.step for point in client.get_metric_history(run.info.run_id, key)]
        assert len(steps) == len(set(steps)) and (len(steps) == STEPS or key == "training_seconds"), (
            key,
            steps,
        )
    grids = [
        item.path for item in client.list_artifacts(run.info.run_id, "images") if item.path.endswith(".png")
    ]
    # How many looks were affordable depends on the machine; the first and the last always are.
    assert 2 <= len(grids) == len({path.partition("timestamp")[0] for path in grids})
    assert {"source/params.yaml", "source/requirements.lock"} <= {
        item.path for item in client.list_artifacts(run.info.run_id, "source")
    }
    (model,) = run.outputs.model_outputs
    assert (
        client.get_logged_model(model.model_id).tags["aigc.weights_sha256"]
        == run.data.tags["aigc.weights_sha256"]
    )
    assert client.get_logged_model(model.model_id).experiment_id == experiment.experiment_id
    assert not list(project.glob(".checkpoints/unsent/*/*"))


def warnings_in(text: str) -> list[str]:
    return [
        line for line in text.replace("\r", "\n").splitlines() if "warning" in line or "Traceback" in line
    ]


@pytest.mark.parametrize("fault", ["dead", pytest.param("hangs", marks=pytest.mark.slow),
                                   pytest.param("fails", marks=pytest.mark.slow)])
def test_without_a_store_a_training_ends_well_and_sync_logs_it_later_once(
        project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
        fault: str) -> None:
    weights = (project / "models/gan/model.safetensors").read_bytes()
    answer = {
        "hangs": None,
        "fails": b"HTTP/1.1 500 Oops\r\nRetry-After: 3600\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
    }
    shutil.rmtree(project / ".checkpoints")
    if fault == "dead":
        said = train(
            project, MLFLOW_TRACKING_URI=f"http://user:{PASSWORD}@127.0.0.1:{free_port()}", AIGC_DEBUG="1"
        )
    else:
        with broken_server(answer[fault]) as port:
            said = train(
                project, MLFLOW_TRACKING_URI=f"http://user:{PASSWORD}@127.0.0.1:{port}", AIGC_DEBUG="1"
            )
    (warning,) = warnings_in(said)
    assert (
        warning.startswith("gan: warning: the MLflow store http://***@127.0.0.1:")
        and "`aigc sync`" in warning
    )
    assert PASSWORD not in said
    assert (project / "models/gan/model.safetensors").read_bytes() == weights
    monkeypatch.chdir(project)
    assert cli.main(["sync"]) == 0
    assert "entries that were kept while the store was away are logged" in capsys.readouterr().out
    assert cli.main(["sync"]) == 0
    assert "entries" not in capsys.readouterr().out
    check(f"sqlite:///{project / 'mlflow.db'}", project)


@pytest.mark.slow
def test_a_database_that_is_locked_while_a_training_ends_and_is_evaluated_gets_all_later(
    project: Path,
) -> None:
    shutil.rmtree(project / ".checkpoints")
    stage = start(project)
    with closing(sqlite3.connect(project / "mlflow.db", timeout=60, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        _, said = stage.communicate(timeout=300)
        assert stage.returncode == 0, said
        evaluated = run_in(project, "python", "-m", "aigc.stages", "evaluate", "gan", PYTHONPATH="src").stderr
        other.execute("ROLLBACK")
    assert len(warnings_in(said)) == len(warnings_in(evaluated)) == 1
    assert "database is locked" in said and "database is locked" in evaluated
    assert run_in(project, "python", "-m", "aigc", "sync", **CODE).stdout.count("entries that were kept") == 2
    check(f"sqlite:///{project / 'mlflow.db'}", project)
    client = mlflow.MlflowClient(f"sqlite:///{project / 'mlflow.db'}")
    (run,) = client.search_runs(
        [client.get_experiment_by_name("aigc").experiment_id], "tags.`aigc.method` = 'gan'"
    )
    assert run.data.tags["aigc.memorization"] and "sampling_images_per_second" in run.data.metrics


@pytest.mark.slow
def test_a_server_that_dies_and_a_kill_and_a_resumption_without_it_make_one_run_on_the_server(
    project: Path, tmp_path: Path
) -> None:
    port = free_port()
    environment = {"MLFLOW_TRACKING_URI": f"http://127.0.0.1:{port}", **HOSTILE}
    shutil.rmtree(project / ".checkpoints")
    with mlflow_server(tmp_path / "server", port):
        stage = start(project, **environment)
    stage.send_signal(signal.SIGKILL)
    stage.communicate()
    assert "resumed at step" in (said := train(project, **environment))
    assert len(warnings_in(said)) == 1
    with mlflow_server(tmp_path / "server", port) as address:
        run_in(project, "python", "-m", "aigc", "sync", **CODE, **environment)
        check(address, project)


@pytest.mark.slow
def test_a_full_disk_of_the_store_costs_no_training(project: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if (
        os.getuid()
        or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", disk], check=False).returncode
    ):
        pytest.skip("mounts a small disk, which takes root")
    try:
        shutil.rmtree(project / ".checkpoints")
        environment = {"MLFLOW_TRACKING_URI": f"sqlite:///{disk / 'mlflow.db'}"}
        warning, = warnings_in(train(project, **environment))  # of SQLite, or of the artifacts beside it
        assert "disk is full" in warning or "No space left on device" in warning
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        run_in(project, "python", "-m", "aigc", "sync", **CODE, **environment)
        check(environment["MLFLOW_TRACKING_URI"], project)
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)  # this process may still hold the database


@pytest.mark.slow
def test_variables_that_name_another_run_or_experiment_change_nothing(project: Path) -> None:
    uri = f"sqlite:///{project / 'mlflow.db'}"
    run_in(project, "python", "-m", "aigc", "sync", **CODE)
    client = mlflow.MlflowClient(uri)
    (before,) = client.search_runs(["1"], "tags.`aigc.method` = 'vae'")
    client.set_terminated(before.info.run_id)
    shutil.rmtree(project / ".checkpoints")
    train(
        project,
        MLFLOW_RUN_ID=before.info.run_id,
        MLFLOW_EXPERIMENT_NAME="other",
        MLFLOW_EXPERIMENT_ID="99",
        MLFLOW_ACTIVE_MODEL_ID="m-1",
        MLFLOW_ENABLE_ASYNC_LOGGING="true",
        MLFLOW_RUN_CONTEXT='{"aigc.method": "x"}',
    )
    after = client.get_run(before.info.run_id)
    assert (after.info.status, after.data.metrics, after.data.tags) == (
        "FINISHED",
        before.data.metrics,
        before.data.tags,
    )
    assert client.get_experiment_by_name("other") is None
    assert {run.info.status for run in client.search_runs(["1"], "tags.`aigc.method` = 'gan'")} == {
        "FINISHED"
    }


def test_a_journal_keeps_order_files_and_state_and_a_cut_line_costs_that_line_alone(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model/weights").write_text("1")
    journal = Journal(tmp_path / "journal")
    journal.keep(Entry("begin", {"n": 1}), {})
    journal.keep(Entry("model", {"n": 2}, {"model": tmp_path / "model"}), {"run_id": "x"})
    with (tmp_path / "journal/journal.jsonl").open("a") as stream:
        stream.write('{"entry": 3, "kind": "e')
    (tmp_path / "model/weights").write_text("2")
    again = Journal(tmp_path / "journal")
    assert [entry.kind for entry in again.waiting.values()] == ["begin", "model"] and again.state == {}
    assert (again.waiting[2].files["model"] / "weights").read_text() == "1"
    again.sent({"run_id": "y"})
    again.keep(Entry("end", {}), {"run_id": "z"})
    last = Journal(tmp_path / "journal")
    assert [entry.kind for entry in last.waiting.values()] == ["model", "end"] and last.state == {
        "run_id": "y"
    }
    last.sent({})
    last.sent({})
    last.close()
    assert not (tmp_path / "journal").exists()
