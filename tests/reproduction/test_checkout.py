"""A checkout in which the pipeline is made again leaves nothing behind, however the command ends."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import mlflow
import psutil
import pytest

from projects import environment_of, run_in
from stores import CODE

PIPELINE = """\
stages:  # in place of aigc.stages
  train:
    matrix: {method: [gan]}
    cmd: sleep 600
    outs: [made]
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A committed DVC project whose only stage never ends."""
    folder = tmp_path / "project"
    folder.mkdir()
    run_in(folder, "git", "init", "-q")
    run_in(folder, "dvc", "init", "-q")
    run_in(folder, "dvc", "config", "core.analytics", "false")  # as in our own; it leaves files
    (folder / "params.yaml").write_text("methods: [gan]\nruntime: {arithmetic: portable, threads: 1}\n")
    (folder / "dvc.yaml").write_text(PIPELINE)
    (folder / "dvc.lock").write_text(
        "schema: '2.0'\nstages:\n  train@gan:\n    cmd: sleep 600\n    outs:\n"
        "    - path: made\n      hash: md5\n      md5: d41d8cd98f00b204e9800998ecf8427e\n      size: 0\n"
    )
    (folder / ".gitignore").write_text("mlflow.db\nmlruns/\n.checkpoints/\n")
    commit_all(folder)
    (tmp_path / "tmp").mkdir()
    return folder


def commit_all(folder: Path) -> str:
    run_in(folder, "git", "add", "-A")
    run_in(folder, "git", "-c", "user.name=t", "-c", "user.email=t@example.org", "commit", "-qm", "all")
    return run_in(folder, "git", "rev-parse", "HEAD").stdout.strip()


def run_of(folder: Path) -> str:
    """A finished run of MLflow's that names the commit of `folder`: its id."""
    client = mlflow.MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.create_experiment("aigc", artifact_location=(folder / "mlruns").as_uri())
    commit = run_in(folder, "git", "rev-parse", "HEAD").stdout.strip()
    run = client.create_run(experiment, tags={"aigc.method": "gan", "aigc.weights_sha256": "0" * 64,
                                              "mlflow.source.git.commit": commit})
    client.log_artifact(run.info.run_id, str(folder / "params.yaml"), "source")
    return str(run.info.run_id)


@pytest.mark.parametrize(("command", "sent"), [
    ("verify", [signal.SIGTERM]), ("verify", [signal.SIGINT]),
    pytest.param("verify", [signal.SIGTERM] * 3, marks=pytest.mark.slow), ("reproduce", [signal.SIGHUP])])
def test_a_signal_while_dvc_runs_ends_dvc_and_its_stage_and_leaves_no_checkout(
        project: Path, tmp_path: Path, command: str, sent: list[signal.Signals]) -> None:
    words = [command] if command == "verify" else [command, run_of(project)]
    process = subprocess.Popen(
        [sys.executable, "-m", "aigc", *words],
        cwd=project,
        stderr=subprocess.PIPE,
        text=True,
        env=environment_of(TMPDIR=str(tmp_path / "tmp"), **CODE),
        start_new_session=True,
    )
    deadline, started = time.monotonic() + 120, []
    while not any("sleep" in child.name() for child in started):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.1)
        started = [
            child for child in psutil.Process(process.pid).children(recursive=True) if child.is_running()
        ]
    for number in sent:
        process.send_signal(number)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 128 + sent[0], said
    assert said.splitlines()[-1] == (
        "error: interrupted" if sent[0] == signal.SIGINT else f"error: ended by {sent[0].name}"
    )
    assert not psutil.wait_procs(started, timeout=5)[1], "a child outlived the command"
    assert os.listdir(tmp_path / "tmp") == []  # noqa: PTH208
    assert len(run_in(project, "git", "worktree", "list").stdout.splitlines()) == 1


@pytest.mark.slow
def test_a_command_under_nohup_goes_on_after_its_terminal_is_closed(project: Path, tmp_path: Path) -> None:
    (project / "dvc.yaml").write_text(PIPELINE.replace("sleep 600", "sleep 3 && touch made"))
    commit_all(project)
    process = subprocess.Popen(
        ["nohup", sys.executable, "-m", "aigc", "verify"],
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=environment_of(**CODE),
    )
    while not any("sleep" in child.name() for child in psutil.Process(process.pid).children(recursive=True)):
        assert process.poll() is None
        time.sleep(0.1)
    process.send_signal(signal.SIGHUP)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 1 and "every out is identical, but dvc.lock is stale" in said


def test_when_dvc_refuses_its_error_is_the_reason(project: Path) -> None:
    (project / "dvc.yaml").write_text(PIPELINE + "    no_such_key: 1\n")
    commit_all(project)
    done = run_in(project, sys.executable, "-m", "aigc", "verify", check=False, **CODE)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert (
        done.stderr.startswith("error: `dvc stage list --name-only` failed in ")
        and "troubles" not in done.stderr
    )
    assert done.stderr.endswith(
        "'./dvc.yaml' validation failed. extra keys not allowed, in stages -> train -> no_such_key, "
        "line 3, column 5\n"
    )


def test_a_summary_that_cannot_be_written_is_known_before_anything_is_made(project: Path) -> None:
    done = run_in(
        project, sys.executable, "-m", "aigc", "verify", "--summary", "absent/summary.md", check=False, **CODE
    )
    assert done.returncode == 1 and done.stderr == "error: absent/summary.md: No such file or directory\n"


@pytest.mark.slow
def test_in_a_hook_of_git_the_clone_is_the_one_that_is_made_again(project: Path) -> None:
    (project / "dvc.yaml").write_text(PIPELINE.replace("sleep 600", "touch made"))
    (project / "data.txt").write_text("picture\n")
    run_in(project, "dvc", "add", "-q", "data.txt")
    commit_all(project)
    hook = {"GIT_DIR": ".git", "GIT_INDEX_FILE": ".git/index", "GIT_WORK_TREE": ".", "GIT_PREFIX": ""}
    done = run_in(project, sys.executable, "-m", "aigc", "verify", check=False, **CODE, **hook)
    assert "train@gan  identical" in done.stdout, done.stderr
    assert run_in(project, "git", "status", "--porcelain").stdout == ""


@pytest.mark.slow
def test_a_shallow_clone_says_how_to_get_the_commit_of_a_run(project: Path, tmp_path: Path) -> None:
    run_in(
        project,
        "git",
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@example.org",
        "commit",
        "-qm",
        "b",
        "--allow-empty",
    )
    run_in(tmp_path, "git", "clone", "-q", "--depth", 1, f"file://{project}", tmp_path / "shallow")
    run_in(project, "git", "reset", "-q", "--hard", "HEAD~1")
    run_id = run_of(project)
    for name in ("mlflow.db", "mlruns"):
        shutil.move(project / name, tmp_path / "shallow" / name)
    done = run_in(
        tmp_path / "shallow", sys.executable, "-m", "aigc", "reproduce", run_id, check=False, **CODE
    )
    assert "is not in this repository; `git fetch --unshallow` it from where the run was made" in done.stderr
