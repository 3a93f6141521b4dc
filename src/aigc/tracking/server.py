"""MLflow's UI on our store."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import suppress
from typing import IO

from aigc.core import process
from aigc.core.errors import AigcError
from aigc.tracking import store, views

PATIENCE_SECONDS = 60
GRACE_SECONDS = 3


def serve(port: int) -> int:
    """Start the UI, print where to look once it answers, and wait until it ends. Returns its exit code.

    Where the store is a server, it has a UI already: print where, and return 0.
    """
    uri = store.store_uri()
    _, experiment = store.open_store()
    if uri.startswith(("http://", "https://")):
        # A browser asks for user and password itself.
        print(
            "compare the methods at\n  "
            f"{views.address(store.USER_AND_PASSWORD.sub('://', uri).rstrip('/'), experiment)}"
        )
        return 0
    _refuse_if_taken(port)
    server = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "ui", "--port", str(port), "--workers", "1"]
    # Not on the command line, which every user of the machine can read: the address may hold a password.
    environment = {name: value for name, value in os.environ.items() if name not in _options_of_the_server()}
    environment |= {"MLFLOW_BACKEND_STORE_URI": uri, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    with tempfile.TemporaryFile("w+") as log:  # a pipe that nobody reads would fill, and stop the server
        ui = subprocess.Popen(command, env=environment, cwd=store.home(), stdout=subprocess.DEVNULL,
                              stderr=log, start_new_session=True)
        try:
            _wait_until_it_answers(server, ui, log)
            print(f"compare the methods at\n  {views.address(server, experiment)}\nCtrl-C ends it.",
                  flush=True)
            return ui.wait()
        except KeyboardInterrupt:
            return 0
        finally:
            _end(ui)


def _options_of_the_server() -> set[str]:
    """Variables that are options of `mlflow ui`, such as another store: not meant for this server."""
    from mlflow import cli

    return {option.envvar for option in cli.server.params if isinstance(option.envvar, str)}


def _end(ui: "subprocess.Popen[bytes]") -> None:
    """End MLflow and the server that it started, which otherwise waits for open browser windows."""
    with suppress(ProcessLookupError):
        os.killpg(ui.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            ui.wait(GRACE_SECONDS)
        os.killpg(ui.pid, signal.SIGKILL)
    ui.wait()


def _refuse_if_taken(port: int) -> None:
    """Another server on this port would answer in place of ours."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that has just ended does not count
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError) as error:
            raise AigcError(f"--port {port}: cannot be had ({error}); name another") from None


def _wait_until_it_answers(server: str, ui: "subprocess.Popen[bytes]", log: IO[str]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if ui.poll() is not None:
            log.seek(0)
            raise AigcError(f"MLflow's UI ended at once ({store.shown(process.reason(log.read()))})")
        try:
            urllib.request.urlopen(f"{server}/health", timeout=2)
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise AigcError(f"MLflow's UI did not answer on {server} within {PATIENCE_SECONDS} s; try --port")
