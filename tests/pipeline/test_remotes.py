"""DVC's remotes over SSH and S3: what one machine pushed, another gets, and has nothing to make again."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from projects import run_in
from stores import client_of
from teams import free_port

pytestmark = pytest.mark.slow
AIGC = (sys.executable, "-m", "aigc")
CODE = {"PYTHONPATH": "src"}
READY_SECONDS = 60
KEYS = {"AWS_ACCESS_KEY_ID": "anybody", "AWS_SECRET_ACCESS_KEY": "anything",
        "AWS_DEFAULT_REGION": "us-east-1"}
SetUp = tuple[list[list[str]], dict[str, str]]  # arguments of `dvc remote`, and the environment


@contextmanager
def running(command: list[object], port: int, log: Path) -> Iterator[None]:
    """A server, from when it listens on `port` until the block ends."""
    with log.open("wb") as stream:
        server = subprocess.Popen([str(word) for word in command], stdout=stream, stderr=stream)
    try:
        end = time.monotonic() + READY_SECONDS
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert server.poll() is None and time.monotonic() < end, log.read_text()
            time.sleep(0.1)
        yield
    finally:
        server.terminate()
        server.wait()


@pytest.fixture(params=["ssh", "s3"])
def remote(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SetUp]:
    with (over_ssh if request.param == "ssh" else over_s3)(tmp_path) as made:
        yield made


@contextmanager
def over_ssh(folder: Path) -> Iterator[SetUp]:
    program = shutil.which("sshd") or "/usr/sbin/sshd"
    if not Path(program).exists():
        pytest.skip("no sshd on this machine (Debian: openssh-server)")
    Path("/run/sshd").mkdir(exist_ok=True)
    port, home = free_port(), folder / "ssh"
    home.mkdir(mode=0o700)
    for name in ("host", "client"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", home / name], check=True)
    shutil.copy(home / "client.pub", home / "authorized")
    (home / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {home / 'host'}\nAuthorizedKeysFile "
        f"{home / 'authorized'}\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\n"
        f"PidFile none\nSubsystem sftp internal-sftp\n")
    user = os.environ.get("USER") or "root"
    with running([program, "-D", "-e", "-f", home / "config"], port, home / "log"):
        yield [["add", "--default", "team", f"ssh://{user}@127.0.0.1:{port}{folder / 'stored'}"],
               ["modify", "--local", "team", "keyfile", str(home / "client")]], {}


@contextmanager
def over_s3(folder: Path) -> Iterator[SetUp]:
    import boto3

    port = free_port()
    url = f"http://127.0.0.1:{port}"
    server = Path(sys.executable).with_name("moto_server")
    with running([server, "-H", "127.0.0.1", "-p", port], port, folder / "moto.log"):
        boto3.client("s3", endpoint_url=url, aws_access_key_id="anybody", aws_secret_access_key="anything",
                     region_name="us-east-1").create_bucket(Bucket="aigc")
        yield [["add", "--default", "team", "s3://aigc/project"],
               ["modify", "team", "endpointurl", url]], KEYS


def test_a_clone_pulls_everything_and_makes_nothing(
        remote: SetUp, project: Path, tmp_path: Path) -> None:
    settings, environment = remote
    for words in settings:
        run_in(project, "dvc", "remote", *words)
    run_in(project, "git", "commit", "-qam", "a remote")
    run_in(project, "dvc", "push", "--run-cache", **environment)
    clone = tmp_path / "clone"
    run_in(tmp_path, "git", "clone", "-q", str(project), str(clone))
    for words in settings:
        if "--local" in words:
            run_in(clone, "dvc", "remote", *words)
    run_in(clone, "dvc", "pull", "--run-cache", **environment)
    assert "Data and pipelines are up to date" in run_in(clone, "dvc", "repro").stdout
    told = run_in(clone, *AIGC, "sync", **CODE).stdout
    assert told.count("made, marked as restored") == 2
    experiment = client_of(clone).get_experiment_by_name("aigc")
    found = client_of(clone).search_runs([experiment.experiment_id])
    assert {run.data.tags["aigc.method"] for run in found} == {"vae", "gan"}
    assert all("fid" in run.data.metrics for run in found)
    assert run_in(clone, *AIGC, "verify", **CODE).returncode == 0
    assert run_in(clone, "git", "status", "--porcelain").stdout == ""


@pytest.mark.parametrize("address", ["s3://aigc/project", "ssh://nobody@127.0.0.1:9/there", "/proc/nowhere"])
def test_a_remote_that_is_not_there_or_refuses_is_an_error_and_no_traceback(project: Path,
                                                                             address: str) -> None:
    run_in(project, "dvc", "remote", "add", "--default", "team", address)
    if address.startswith("s3"):
        run_in(project, "dvc", "remote", "modify", "team", "endpointurl", "http://127.0.0.1:9")
    before = run_in(project, "git", "status", "--porcelain").stdout
    done = run_in(project, "dvc", "push", check=False, **KEYS)
    assert done.returncode and "ERROR" in done.stderr and "Traceback" not in done.stderr
    assert run_in(project, "git", "status", "--porcelain").stdout == before
