"""The MLflow server that deploy/compose.yaml describes, here: its command, its environment, its database."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from ruamel.yaml import YAML

from databases import PASSWORD, Database
from projects import ROOT, environment_of

COMPOSE = ROOT / "deploy/compose.yaml"
ADMIN, ADMIN_PASSWORD = "boss", "a-long-enough-secret"
READY_SECONDS, STOP_SECONDS = 120, 10


def composed() -> dict[str, Any]:
    content: dict[str, Any] = YAML(typ="safe", pure=True).load(COMPOSE)
    return content


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


def filled(text: str, variables: dict[str, str]) -> str:
    """`${NAME}`, `${NAME:-default}` and `${NAME:?message}` as Compose reads them."""
    def value(found: re.Match[str]) -> str:
        name, _, rest = found[1].partition(":")
        if name in variables:
            return variables[name]
        assert rest.startswith("-"), f"{name} has no value: {rest[1:]}"
        return rest[1:]

    return re.sub(r"\$\{([^}]*)\}", value, text)


@dataclass
class Server:
    """The server of the service `mlflow`. url: where it listens."""

    command: list[str]
    environment: dict[str, str]
    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def admin(self) -> dict[str, str]:
        """The environment of a client that is the administrator."""
        return self.user(ADMIN, ADMIN_PASSWORD)

    def user(self, name: str, password: str) -> dict[str, str]:
        return {"MLFLOW_TRACKING_URI": self.url, "MLFLOW_TRACKING_USERNAME": name,
                "MLFLOW_TRACKING_PASSWORD": password}

    def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self.command, cwd=self.folder, env=self.environment, stdout=log,
                                            stderr=log, start_new_session=True)
        end = time.monotonic() + READY_SECONDS
        while True:
            with suppress(OSError), urllib.request.urlopen(f"{self.url}/health", timeout=2):
                return
            assert self.process.poll() is None and time.monotonic() < end, (
                (self.folder / "log").read_text()[-2000:])
            time.sleep(0.3)

    def stop(self, how: int = signal.SIGTERM) -> None:
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, how)
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:  # it waits for clients that keep their connection
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()


@contextmanager
def team_server(folder: Path, database: Database) -> Iterator[Server]:
    """The service `mlflow` with the values of this machine in place of those of the containers."""
    service, port = composed()["services"]["mlflow"], free_port()
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE mlflow")
    variables = {"POSTGRES_PASSWORD": PASSWORD, "MLFLOW_ADMIN": ADMIN,
                 "MLFLOW_ADMIN_PASSWORD": ADMIN_PASSWORD, "MLFLOW_SECRET_KEY": "k" * 32}
    here = {"mlflow:${POSTGRES_PASSWORD}@database:5432": "aigc:${POSTGRES_PASSWORD}@127.0.0.1:"
                                                         f"{database.port}",
            "/etc/mlflow/auth.ini": str(folder / "auth.ini"), "/artifacts": str(folder / "artifacts"),
            "/accounts": str(folder)}

    def local(text: str) -> str:
        for before, after in here.items():
            text = text.replace(before, after)
        return filled(text, variables)

    (folder / "artifacts").mkdir()
    (folder / "auth.ini").write_text(local((ROOT / "deploy/auth.ini").read_text()))
    environment = {key: local(str(value)) for key, value in service["environment"].items()}
    fixed = dict(re.findall(r"(MLFLOW_[A-Z_]+)=(\S+)", (ROOT / "deploy/Dockerfile.mlflow").read_text()))
    words = {"0.0.0.0": "127.0.0.1", "5000": str(port)}
    command = [sys.executable, "-m", *(words.get(word, word) for word in service["command"])]
    server = Server(command, environment_of(**environment, **fixed), folder, port)
    server.start()
    try:
        yield server
    finally:
        server.stop()
