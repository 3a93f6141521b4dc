"""The whole pipeline on a team's MLflow server: accounts, PostgreSQL, artifacts through the server."""

import base64
import json
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

from aigc.tracking.killed import HEARTBEAT, SILENT_SECONDS
from databases import postgresql
from projects import environment_of, run_in
from teams import ADMIN, ADMIN_PASSWORD, Server, free_port, team_server

pytestmark = pytest.mark.slow
AIGC = (sys.executable, "-m", "aigc")
CODE = {"PYTHONPATH": "src"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with (postgresql(Path(f"/tmp/aigc-pg-{time.monotonic_ns()}")) as database,
          team_server(tmp_path_factory.mktemp("server"), database) as started):
        yield started


@pytest.fixture
def client(server: Server, monkeypatch: pytest.MonkeyPatch) -> mlflow.MlflowClient:
    for name, value in server.admin.items():
        monkeypatch.setenv(name, value)
    return mlflow.MlflowClient(server.url)


@pytest.fixture
def team(server: Server, project: Path) -> tuple[Path, dict[str, str]]:
    """A project of its own experiments, and the environment of a member of the team."""
    return project, {**CODE, **server.admin}


def runs(client: mlflow.MlflowClient, method: str) -> list[Run]:
    experiment = client.get_experiment_by_name("aigc")
    assert experiment
    return list(client.search_runs([experiment.experiment_id], f"tags.`aigc.method` = '{method}'",
                                   order_by=["attributes.start_time DESC"]))


def steps(client: mlflow.MlflowClient, run: Run) -> list[int]:
    return [point.step for point in client.get_metric_history(run.info.run_id, "images")]


def set_key(project: Path, method: str, key: str, value: object) -> None:
    """Set a key in the section of a method, before its other keys."""
    head, _, rest = (project / "params.yaml").read_text().partition(f"\n{method}:\n")
    own, blank, others = rest.partition("\n\n")
    kept = "\n".join(line for line in own.splitlines() if not line.startswith(f"  {key}:"))
    (project / "params.yaml").write_text(f"{head}\n{method}:\n{kept}\n  {key}: {value}{blank}{others}")


def test_the_pipeline_and_what_people_do_with_its_models(
        team: tuple[Path, dict[str, str]], client: mlflow.MlflowClient, tmp_path: Path) -> None:
    project, member = team
    told = run_in(project, *AIGC, "sync", **member).stdout
    assert told.count("made, marked as restored") == 2
    assert run_in(project, *AIGC, "sync", **member).stdout.count("is complete already") == 2
    set_key(project, "gan", "images", 1600)
    run_in(project, *AIGC, "repro", "evaluate@gan", **member)
    run = runs(client, "gan")[0]
    assert run.info.status == "FINISHED" and run.data.params["images"] == "1600" and "fid" in run.data.metrics
    assert run.info.artifact_uri.startswith("mlflow-artifacts:")
    kept = {one.path.split("/")[0] for one in client.list_artifacts(run.info.run_id)}
    assert {"source", "evaluation"} <= kept
    for method in ("vae", "vae"):
        run_in(project, *AIGC, "promote", method, **member)
    assert len(client.search_model_versions("name = 'aigc'")) == 1
    pictures = tmp_path / "pictures"
    run_in(project, *AIGC, "generate", "--model", "models:/aigc@champion", "--n", "2", "--out", pictures,
           **member)
    run_in(project, *AIGC, "generate", "--model", f"runs:/{run.info.run_id}/model", "--n", "2", "--out",
           tmp_path / "of a run", **member)
    files = sorted(pictures.glob("vae-*.png")) or sorted(pictures.glob("*.png"))
    assert "identical" in run_in(project, *AIGC, "whence", files[0], **member).stdout
    served_picture(project, member)
    run_in(project, "git", "add", "-A")
    run_in(project, "git", "commit", "-qm", "a shorter gan")
    set_key(project, "gan", "images", 1200)
    run_in(project, *AIGC, "repro", "evaluate@gan", **member)
    again = run_in(project, *AIGC, "reproduce", runs(client, "gan")[0].info.run_id, **member)
    assert "identical" in again.stdout + again.stderr
    run_in(project, *AIGC, "init-from", "models:/aigc@champion", **member)
    set_key(project, "vae", "images", 640)
    run_in(project, "dvc", "repro", "train@vae", **member)
    child = runs(client, "vae")[0]
    assert child.data.tags["aigc.parent"] == child.data.params["init_from"]


def served_picture(project: Path, member: dict[str, str]) -> None:
    """`aigc serve` gets the champion from the server and answers with a picture."""
    port = free_port()
    serving = subprocess.Popen([*AIGC, "serve", "aigc@champion", "--port", str(port)], cwd=project,
                               env=environment_of(**member), stderr=subprocess.PIPE)
    try:
        asked = urllib.request.Request(f"http://127.0.0.1:{port}/generate", b'{"seed": 1}',
                                       {"Accept": "image/png", "Content-Type": "application/json"})
        end = time.monotonic() + 120
        while True:
            try:
                with urllib.request.urlopen(asked, timeout=30) as answer:
                    assert answer.read(8) == b"\x89PNG\r\n\x1a\n"
                return
            except OSError:
                assert serving.poll() is None and time.monotonic() < end
                time.sleep(0.3)
    finally:
        serving.terminate()
        serving.communicate(timeout=60)


def test_who_has_no_account_is_told_in_one_line_and_an_account_is_enough(
        team: tuple[Path, dict[str, str]], server: Server, client: mlflow.MlflowClient) -> None:
    project, member = team
    run_in(project, *AIGC, "sync", **member)
    nobody = {key: value for key, value in member.items() if "USERNAME" not in key and "PASSWORD" not in key}
    for who, why in ((nobody, "MLFLOW_TRACKING_USERNAME"),
                     ({**member, "MLFLOW_TRACKING_PASSWORD": "wr0ng"}, "MLFLOW_TRACKING_USERNAME")):
        started = time.monotonic()
        done = run_in(project, *AIGC, "sync", check=False, **who)
        assert done.returncode == 1 and time.monotonic() - started < 20
        assert len(done.stderr.strip().splitlines()) == 1 and why in done.stderr
        assert "wr0ng" not in done.stderr
    call(server, "2.0/mlflow/users/create", {"username": "guest", "password": "guest-password-1"})
    guest = {**CODE, **server.user("guest", "guest-password-1")}
    assert run_in(project, *AIGC, "sync", **guest).stdout.count("is complete already") >= 1


def call(server: Server, path: str, content: dict[str, str]) -> None:
    secret = base64.b64encode(f"{ADMIN}:{ADMIN_PASSWORD}".encode()).decode()
    request = urllib.request.Request(f"{server.url}/api/{path}", json.dumps(content).encode(),
                                     {"Content-Type": "application/json", "Authorization": f"Basic {secret}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 200


def killed_in_training(project: Path, method: str, member: dict[str, str]) -> None:
    """Start a training and kill it after its first checkpoint."""
    shutil.rmtree(project / ".checkpoints", ignore_errors=True)
    training = subprocess.Popen([sys.executable, "-m", "aigc.stages", "train", method], cwd=project,
                                env=environment_of(**member), stderr=subprocess.PIPE)
    while not list(project.glob(f".checkpoints/{method}-*/0*.safetensors")):
        assert training.poll() is None
        time.sleep(0.02)
    training.send_signal(signal.SIGKILL)
    training.communicate()


def test_a_training_that_is_brought_to_another_machine_goes_on_in_the_same_run(
        team: tuple[Path, dict[str, str]], client: mlflow.MlflowClient, tmp_path: Path) -> None:
    if not shutil.which("unshare") or Path("/proc/self/uid_map").read_text().split()[:3] != ["0", "0",
                                                                                           "4294967295"]:
        pytest.skip("another machine-id needs root")
    project, member = team
    set_key(project, "gan", "images", 2400)
    killed_in_training(project, "gan", member)
    run = runs(client, "gan")[0]
    assert run.info.status == "RUNNING"
    client.set_tag(run.info.run_id, HEARTBEAT, str(int((time.time() - SILENT_SECONDS - 60) * 1000)))
    (tmp_path / "id").write_text("f" * 32 + "\n")
    other = shutil.copytree(project, tmp_path / "other machine", symlinks=True)
    done = run_in(other, "unshare", "-m", "sh", "-c",
                  f"mount --bind {tmp_path / 'id'} /etc/machine-id && exec {sys.executable} -m aigc.stages "
                  "train gan", **member)
    assert "resumed at step" in done.stderr
    found = [one for one in runs(client, "gan") if one.data.params.get("images") == "2400"]
    assert [one.info.run_id for one in found] == [run.info.run_id] and found[0].info.status == "FINISHED"
    seen = steps(client, found[0])
    assert len(seen) == len(set(seen)) == 10


def test_a_server_that_is_gone_for_a_minute_is_told_everything_once(
        team: tuple[Path, dict[str, str]], server: Server, client: mlflow.MlflowClient) -> None:
    project, member = team
    set_key(project, "vae", "images", 2560)
    shutil.rmtree(project / ".checkpoints", ignore_errors=True)
    training = subprocess.Popen([sys.executable, "-m", "aigc.stages", "train", "vae"], cwd=project,
                                env=environment_of(**member), stderr=subprocess.PIPE, text=True)
    while not list(project.glob(".checkpoints/vae-*/0*.safetensors")):
        assert training.poll() is None
        time.sleep(0.02)
    server.stop(signal.SIGKILL)
    gone = time.monotonic()
    _, told = training.communicate(timeout=600)
    assert training.returncode == 0, told
    time.sleep(max(0, 60 - (time.monotonic() - gone)))
    server.start()
    for _ in range(2):
        run_in(project, *AIGC, "sync", check=False, **member)
    found = [one for one in runs(client, "vae") if one.data.params.get("images") == "2560"]
    assert len(found) == 1 and found[0].info.status == "FINISHED"
    seen = steps(client, found[0])
    assert len(seen) == len(set(seen)) == 10
