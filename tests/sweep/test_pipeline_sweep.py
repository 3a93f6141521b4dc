"""A sweep of the real pipeline on a real PostgreSQL, with a worker killed while it trains."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from aigc.core import config
from aigc.sweep import storage
from databases import Database, postgresql
from projects import environment_of, run_in
from stores import CODE, client_of

SPACE = """\
name: widths
method: gan
objectives: [fid, recall]
sampler: grid
parameters:
  gan.width: {choices: [16, 32]}
"""
LONG_IMAGES = "30000"  # so that there is time to kill


@pytest.fixture
def database():
    folder = Path("/tmp") / f"aigc-pg-{os.getpid()}-{time.time_ns()}"
    with postgresql(folder) as made:
        yield made
    subprocess.run(["rm", "-rf", str(folder)], check=True)


def workers_of(parent: int) -> list[psutil.Process]:
    return [one for one in psutil.Process(parent).children() if "sweep" in one.cmdline()]


@pytest.mark.slow
def test_a_worker_killed_in_its_training_loses_nothing_and_the_best_comes_from_the_cache(
        project: Path, database: Database) -> None:
    sweep_with_a_kill(project, database)


def sweep_with_a_kill(project: Path, database: Database) -> None:
    (project / "space.yaml").write_text(SPACE)
    params = (project / "params.yaml").read_text().splitlines()
    at = next(row for row in range(params.index("gan:"), len(params)) if params[row].startswith("  images:"))
    params[at] = f"  images: {LONG_IMAGES}"
    (project / "params.yaml").write_text("\n".join(params) + "\n")
    before = client_of(project)
    known = {run.info.run_id for run in runs(before)} if (project / "mlflow.db").exists() else set()
    environment = {**CODE, storage.STORAGE: database.url, storage.HEARTBEAT: "2"}
    command = [sys.executable, "-m", "aigc", "sweep"]
    parent = subprocess.Popen([*command, "space.yaml", "--workers", "2"], cwd=project,
                              env=environment_of(**environment), stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
    checkpoints = ".checkpoints/sweeps/widths/*/checkout/.checkpoints/gan-*/*.safetensors"
    while parent.poll() is None and not any(project.glob(checkpoints)):
        time.sleep(0.5)
    folder = next(project.glob(checkpoints)).parents[2]
    child = next(one for one in psutil.process_iter(["cmdline", "cwd"])
                 if "aigc.sweep.child" in (one.info["cmdline"] or []) and one.info["cwd"] == str(folder))
    os.kill(child.ppid(), signal.SIGKILL)
    said, _ = parent.communicate()
    assert parent.returncode == 0, said
    assert "1 of 2 workers ended early" in said and "2 complete" in said

    client = client_of(project)
    made = [run for run in runs(client) if run.info.run_id not in known]
    assert sorted((run.info.status, run.data.tags["aigc.sweep"], run.data.tags["aigc.trial"])
                  for run in made) == [("FINISHED", "widths", "0"), ("FINISHED", "widths", "1")], said
    assert all("fid" in run.data.metrics for run in made)
    assert run_in(project, "git", "worktree", "list").stdout.count("\n") == 1
    assert not [one for one in psutil.process_iter(["cmdline", "cwd"])
                if str(one.info["cwd"]).startswith(str(project))]

    shown = run_in(project, *command, "best", "--trial", "1", "--write", **environment).stdout
    assert "+  width: 32" in shown
    assert config.read(project / "params.yaml")["gan"]["width"] == 32
    run_in(project, "dvc", "repro", "evaluate@gan")
    assert len(runs(client_of(project))) == len(known) + 2, "the best was trained again"


@pytest.fixture
def small_disk(project: Path) -> Iterator[Path]:
    """The folder of the sweep, on a file system of its own."""
    place = project / ".checkpoints/sweeps/widths"
    place.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=400m", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting needs root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.slow
def test_a_full_disk_fails_the_trial_with_its_reason_and_a_retry_makes_it(project: Path,
                                                                         small_disk: Path) -> None:
    (project / "space.yaml").write_text(SPACE)
    command = [sys.executable, "-m", "aigc", "sweep"]
    sweep = subprocess.Popen([*command, "space.yaml"], cwd=project, env=environment_of(**CODE),
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    while not list(small_disk.glob("*/checkout/.checkpoints/gan-*/*.safetensors")):
        assert sweep.poll() is None, sweep.communicate()[0]
        time.sleep(0.1)
    with (small_disk / "filler").open("wb") as filler, suppress(OSError):
        while True:
            filler.write(b"x" * 2**20)
    said, _ = sweep.communicate()
    assert sweep.returncode == 1 and "trials failed; `aigc sweep status widths` says why" in said, said
    assert "Traceback" not in said
    status = run_in(project, *command, "status", **CODE).stdout
    assert "No space left on device" in status, status
    (small_disk / "filler").unlink()
    again = run_in(project, *command, "space.yaml", "--retry", **CODE).stdout
    assert "2 complete" in again, again
    assert run_in(project, "git", "worktree", "list").stdout.count("\n") == 1


def runs(client):
    found = client.get_experiment_by_name("aigc")
    return list(client.search_runs([found.experiment_id])) if found else []
