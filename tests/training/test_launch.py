"""Several processes share a training: whatever ends it, one line says so, none is left, a rerun mends it."""

import hashlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import psutil
import pytest

from aigc.core import files, paths
from aigc.core.sharing import DEVICES
from aigc.data import pictures
from projects import ROOT, environment_of, run_in
from stores import client_of

STAGE = [sys.executable, "-m", "aigc.stages", "train", "gan"]
STEPS = 300


def small_project(folder: Path, steps: int = STEPS, shards: int = 4, batch: int = 32) -> Path:
    """A folder in which `train` can run: gan in shards, on noise."""
    changes = {"images: 150000": f"images: {batch * steps}", "shards: 1 ": f"shards: {shards} ",
               "watch: true": "watch: false", "width: 256": "width: 16",
               "batch_size: 32 ": f"batch_size: {batch} "}
    params = (ROOT / paths.PARAMS).read_text()
    for before, after in changes.items():
        assert params.count(before) == 1, before
        params = params.replace(before, after)
    folder.mkdir(parents=True)
    (folder / paths.PARAMS).write_text(params)
    shutil.copy(ROOT / paths.REQUIREMENTS, folder)
    data = folder / paths.PROCESSED / "train"
    files.write_npy(data / "images.npy",
                    np.random.default_rng(0).integers(0, 256, (64, 1, 28, 28), dtype=np.uint8))
    pictures.write_labels(data, np.full(64, -1), [])
    pictures.write_origin(data, {})
    return folder


def start(folder: Path, processes: int, command: list[str] = STAGE,
          **environment: str) -> subprocess.Popen[str]:
    own = {"PYTHONPATH": str(ROOT / "src"), "DVC_ROOT": str(ROOT), DEVICES: str(processes)}
    return subprocess.Popen(command, cwd=folder, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                            start_new_session=True, env=environment_of(**{**own, **environment}))


def end(run: subprocess.Popen[str]) -> tuple[int, list[str]]:
    """(exit code, the errors that were printed) of a run, of which no process is left."""
    _, said = run.communicate()
    left = [one for one in psutil.process_iter(["environ"])
            if (one.info["environ"] or {}).get("AIGC_LAUNCHER") == str(run.pid)]
    assert not psutil.wait_procs(left, timeout=30)[1]
    assert "Traceback" not in said, said
    return run.returncode, [line for line in said.splitlines() if line.startswith("error: ")]


def weights(folder: Path) -> str:
    return hashlib.sha256((folder / paths.model("gan") / "model.safetensors").read_bytes()).hexdigest()


def step_of(folder: Path) -> int:
    """Of the last checkpoint; 0 = there is none."""
    return max((int(path.name[:10]) for path in folder.glob(".checkpoints/gan-*/0*.safetensors")), default=0)


def workers(run: subprocess.Popen[str], folder: Path, after: int = 0) -> list[psutil.Process]:
    """The two processes of a run, once there is a checkpoint after this step."""
    while len(found := psutil.Process(run.pid).children()) < 2 or step_of(folder) <= after:
        assert run.poll() is None, run.communicate()
        time.sleep(0.05)
    return found


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The weights of the run of one process that nobody disturbs."""
    folder = small_project(tmp_path_factory.mktemp("alone") / "project")
    assert end(start(folder, 1)) == (0, [])
    return weights(folder)


@pytest.mark.slow
def test_a_rank_killed_at_any_instant_ends_all_with_one_line_and_the_rerun_has_the_same_bytes(
        tmp_path: Path, alone: str) -> None:
    folder, rng = small_project(tmp_path / "project"), random.Random(0)
    for victim in (1, 0):
        run = start(folder, 2)
        found = workers(run, folder, after=step_of(folder))
        time.sleep(rng.uniform(0, 0.5))
        found[victim].kill()
        assert end(run) == (1, [f"error: train gan: process {victim} was ended by SIGKILL; run again to go "
                                "on from the last checkpoint"])
    assert end(start(folder, 2)) == (0, [])
    assert weights(folder) == alone


@pytest.mark.slow
@pytest.mark.parametrize("victim", ["stage", "rank", "agent killed"])
def test_all_stop_at_the_same_step_and_another_number_goes_on(
        tmp_path: Path, alone: str, victim: str) -> None:
    folder = small_project(tmp_path / "project")
    run = start(folder, 2)
    found, before = workers(run, folder), step_of(folder)
    if victim == "agent killed":
        run.kill()
        assert end(run)[0] == -signal.SIGKILL
    else:
        (found[1] if victim == "rank" else run).send_signal(signal.SIGTERM)
        code, (error,) = end(run)
        said = re.fullmatch(r"error: train gan: stopped by signal 15 at step (\d+) of 300; run again to go "
                             "on from there", error)
        assert code == 128 + signal.SIGTERM and said and int(said[1]) == step_of(folder)
    assert step_of(folder) > before  # saved where it stopped, by all alike
    assert end(start(folder, 4)) == (0, [])
    assert weights(folder) == alone


@pytest.mark.slow
def test_no_process_outlives_a_dvc_that_is_killed(tmp_path: Path, alone: str) -> None:
    folder = small_project(tmp_path / "project")
    shutil.copytree(ROOT / "src", folder / "src")  # what runs must lie in DVC's project
    (folder / "dvc.yaml").write_text(
        f"stages:\n  train:\n    cmd: exec env PYTHONPATH=src {' '.join(STAGE)}\n    outs: [models/gan]\n")
    run_in(folder, "dvc", "init", "-q", "--no-scm")
    repro = [sys.executable, "-m", "dvc", "repro"]
    run = start(folder, 2, repro, DVC_ROOT=str(folder))
    while step_of(folder) == 0:
        assert run.poll() is None, run.communicate()
        time.sleep(0.05)
    started = psutil.Process(run.pid).children(recursive=True)
    run.kill()
    run.wait()
    assert len(started) >= 3 and not psutil.wait_procs(started, timeout=120)[1]
    run_in(folder, sys.executable, "-m", "aigc", "mend", PYTHONPATH="src")
    assert end(start(folder, 2, repro, DVC_ROOT=str(folder))) == (0, [])
    assert weights(folder) == alone


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return int(server.getsockname()[1])


def node(number: int, port: int) -> dict[str, str]:
    """The variables of one of two hosts."""
    return {"PET_NNODES": "2", "PET_NODE_RANK": str(number), "PET_MASTER_ADDR": "127.0.0.1",
            "PET_MASTER_PORT": str(port), "GLOO_SOCKET_IFNAME": "lo"}


@pytest.mark.slow
def test_two_hosts_give_the_same_bytes_and_the_second_writes_nothing(tmp_path: Path, alone: str) -> None:
    first, second, port = small_project(tmp_path / "a"), small_project(tmp_path / "b"), free_port()
    runs = [start(folder, 1, **node(number, port)) for number, folder in enumerate((first, second))]
    assert [end(run) for run in runs] == [(0, []), (0, [])]
    assert weights(first) == alone
    assert not (second / "models").exists() and not (second / "mlflow.db").exists()
    assert step_of(second) == 0
    client = client_of(first)
    experiment = client.get_experiment_by_name("aigc")
    assert experiment is not None
    run, = client.search_runs([experiment.experiment_id])
    assert run.data.tags["aigc.processes"] == "2" and "processes" not in str(run.data.params)


@pytest.mark.slow
def test_torchrun_by_hand_gives_the_same_bytes(tmp_path: Path, alone: str) -> None:
    folder, port = small_project(tmp_path / "a"), free_port()
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes", "2", "--nproc-per-node", "2",
                "--master-addr", "127.0.0.1", "--master-port", str(port)]
    runs = [start(folder, 1, [*torchrun, "--node-rank", str(number), "-m", *STAGE[2:]],
                  GLOO_SOCKET_IFNAME="lo") for number in range(2)]
    assert [end(run) for run in runs] == [(0, []), (0, [])]
    assert weights(folder) == alone


@pytest.mark.slow
@pytest.mark.parametrize("changed", ["params", "commit"])
def test_hosts_that_would_train_something_else_are_named(tmp_path: Path, changed: str) -> None:
    first, second, port = small_project(tmp_path / "a"), small_project(tmp_path / "b"), free_port()
    if changed == "params":
        (second / paths.PARAMS).write_text((second / paths.PARAMS).read_text().replace("r1: 1.0", "r1: 0.5"))
        own, difference = {}, r"params.r1: 0.5 there, 1.0 here"
    else:
        shutil.copytree(ROOT / "src", second / "src")
        with (second / "src/aigc/methods/gan.py").open("a") as page:
            page.write("# another commit\n")
        own = {"PYTHONPATH": str(second / "src"), "DVC_ROOT": str(second)}
        difference = r"code.aigc.methods.gan differs"
    runs = [start(first, 1, **node(0, port)), start(second, 1, **{**node(1, port), **own})]
    for code, errors in map(end, runs):
        assert code == 1 and len(errors) == 1
        assert re.match(r"error: train gan: process 1 on \S+ would train something else than process 0 on "
                        rf"\S+ \({difference}\); give both the same commit", errors[0]), errors


@pytest.mark.slow
@pytest.mark.parametrize("number", [0, 1])
def test_a_port_in_use_and_a_host_that_is_not_there_are_one_line(tmp_path: Path, number: int) -> None:
    folder = small_project(tmp_path / "project")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1] if number == 0 else free_port()
        code, errors = end(start(folder, 1, PET_RDZV_CONF="timeout=3", **node(number, port)))
    said = "the port is in use" if number == 0 else "the processes did not meet there within 3 s"
    assert code == 1 and len(errors) == 1
    assert errors[0].startswith(f"error: train gan: 127.0.0.1:{port}: {said}")


@pytest.mark.slow
@pytest.mark.parametrize("address", ["no-such-host.invalid", "192.0.2.1"])  # RFC 2606, RFC 5737
def test_no_route_to_the_first_host_is_one_line(tmp_path: Path, address: str) -> None:
    own = {**node(1, free_port()), "PET_MASTER_ADDR": address}
    code, errors = end(start(small_project(tmp_path / "project"), 1, PET_RDZV_CONF="timeout=3", **own))
    assert code == 1 and len(errors) == 1
    assert errors[0].startswith(f"error: train gan: {address}:{own['PET_MASTER_PORT']}: the processes did "
                                "not meet there within 3 s; start the stage on all hosts, and check"), errors


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a small disk")
def test_a_full_disk_ends_all_processes_with_one_line_and_the_rerun_has_the_same_bytes(
        tmp_path: Path, alone: str) -> None:
    folder = small_project(tmp_path / "project")
    (folder / paths.CHECKPOINTS).mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=500k", "tmpfs", str(folder / paths.CHECKPOINTS)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no mounts in this container")
    try:
        code, errors = end(start(folder, 2))
    finally:
        subprocess.run(["umount", str(folder / paths.CHECKPOINTS)], check=True)
    assert code == 1 and len(errors) == 1
    assert re.fullmatch(r"error: train gan: \.checkpoints/\S+: cannot be written \(No space left on device\);"
                        " make room or give permission there, then run again", errors[0]), errors
    assert end(start(folder, 2)) == (0, [])
    assert weights(folder) == alone


@pytest.mark.slow
def test_eight_processes_give_the_bytes_of_one(tmp_path: Path) -> None:
    found = []
    for count in (1, 8):
        folder = small_project(tmp_path / str(count), steps=20, shards=8, batch=128)
        text = (folder / paths.PARAMS).read_text()
        (folder / paths.PARAMS).write_text(text.replace("intervals: 100", "intervals: 10"))
        assert end(start(folder, count)) == (0, [])
        found.append(weights(folder))
    assert found[0] == found[1]


@pytest.fixture(autouse=True)
def nobody_left() -> Iterator[None]:
    yield
    assert psutil.Process().children(recursive=True) == []
