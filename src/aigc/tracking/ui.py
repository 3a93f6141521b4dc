"""MLflow's UI on our store."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request

from aigc.core.errors import AigcError
from aigc.tracking import runs, views

PATIENCE_SECONDS = 60


def serve(port: int) -> int:
    """Start the UI, print where to look once it answers, and wait until it ends. Returns its exit code."""
    _, experiment = runs.open_store()
    server = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "mlflow", "ui", "--backend-store-uri", runs.store_uri(), "--port", str(port), "--workers", "1"]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    ui = subprocess.Popen(command, env=environment, cwd=runs.home(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        _wait_until_it_answers(server, ui)
        print(f"compare the methods at\n  {views.address(server, experiment)}\nCtrl-C ends it.", flush=True)
        return ui.wait()
    except KeyboardInterrupt:
        return 0
    finally:
        ui.terminate()
        ui.wait()


def _wait_until_it_answers(server: str, ui: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if ui.poll() is not None:
            last = ui.stderr.read().strip().splitlines()[-1:] if ui.stderr else []
            raise AigcError(f"MLflow's UI ended at once ({''.join(last) or 'no message'}); is the port taken? try --port")
        try:
            urllib.request.urlopen(f"{server}/health", timeout=2)
            return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise AigcError(f"MLflow's UI did not answer on {server} within {PATIENCE_SECONDS} s; try --port")
