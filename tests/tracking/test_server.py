"""MLflow's UI on our store: it starts, shows what it should, and ends."""

import functools
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from aigc.core.errors import AigcError
from aigc.tracking import server as ui_server
from projects import ROOT, run_in


@contextmanager
def ui_of(folder: Path, port: int, end: signal.Signals = signal.SIGINT) -> Iterator[str]:
    """`aigc ui` on the store of a folder, ended by a signal that leaves nothing behind: the address that it
    prints.
    """
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    # What a shell starts in the background ignores SIGINT, and so does all that it starts.
    heed = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    server = subprocess.Popen(
        [sys.executable, "-m", "aigc", "ui", "--port", str(port)],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=heed,
    )
    assert server.stdout
    server.stdout.readline()
    try:
        yield server.stdout.readline().strip()
    finally:
        started = psutil.Process(server.pid).children(recursive=True)
        server.send_signal(end)
        assert server.wait(timeout=30) == 0
        assert started and not psutil.wait_procs(started, 5)[1]


def test_a_port_that_another_server_has_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as other:
        for port in (other.getsockname()[1], 65536):
            with pytest.raises(AigcError, match=rf"^--port {port}: cannot be had \(.*\); name another$"):
                ui_server.serve(port)


@pytest.mark.slow
def test_a_server_of_ones_own_is_only_pointed_at(tmp_path: Path) -> None:
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    with ui_of(tmp_path, 5918, signal.SIGTERM) as address:
        pointed = run_in(
            tmp_path,
            "python",
            "-m",
            "aigc",
            "ui",
            "--port",
            5918,
            PYTHONPATH=str(ROOT / "src"),
            MLFLOW_TRACKING_URI=address.partition("/#/")[0],
        )
        assert pointed.stdout.splitlines()[1].strip() == address


@pytest.fixture
def server(finished: Path) -> Iterator[str]:
    with ui_of(finished, 5917) as address:
        yield address


def test_the_printed_view_shows_method_fid_is_and_params_of_every_run(server: str, browser: "object") -> None:
    page = browser.new_page(viewport={"width": 1600, "height": 900})
    page.goto(server)
    page.get_by_role("columnheader", name="fid").first.wait_for(timeout=60_000)
    headers = " ".join(page.get_by_role("columnheader").all_inner_texts())
    for column in ("aigc.method", "fid", "is", "images", "batch_size", "train.seed"):
        assert column in headers
    page.close()
