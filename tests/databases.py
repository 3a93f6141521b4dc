"""A PostgreSQL of its own for a test, on a free port of this machine."""

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1:]
PASSWORD = "s3cret"


@dataclass(frozen=True)
class Database:
    """A cluster. url: its address with user and password."""

    folder: Path
    port: int

    @property
    def url(self) -> str:
        return f"postgresql://aigc:{PASSWORD}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        control(self.folder, "start", "-l", self.folder / "log", "-w", "-o",
                f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.folder}")

    def stop(self, how: str = "immediate") -> None:
        control(self.folder, "stop", "-m", how, "-w")

    def kill(self) -> None:
        """SIGKILL the server; its own processes notice and end."""
        os.kill(int((self.folder / "data/postmaster.pid").read_text().split()[0]), 9)


def control(folder: Path, *words: object) -> None:
    program("pg_ctl", "-D", folder / "data", *words)


def program(name: str, *words: object) -> None:
    """Run one of PostgreSQL's programs. It refuses root."""
    command = [str(PROGRAMS[0] / name), *map(str, words)]
    if os.getuid() == 0:
        command = ["runuser", "-u", "postgres", "--", *command]
    subprocess.run(command, check=True, capture_output=True, cwd="/")


@contextmanager
def postgresql(folder: Path) -> Iterator[Database]:
    """A running cluster in `folder`, which must be short: a socket's path has a limit."""
    if not PROGRAMS or (os.getuid() == 0 and not shutil.which("runuser")):
        pytest.skip("no PostgreSQL on this machine (Debian: postgresql)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder.mkdir(parents=True)
    if os.getuid() == 0:
        shutil.chown(folder, "postgres")
    (folder / "password").write_text(PASSWORD)
    (folder / "password").chmod(0o644)
    program("initdb", "-D", folder / "data", "-U", "aigc", "--pwfile", folder / "password", "-A",
            "scram-sha-256", "--no-sync")
    made = Database(folder, port)
    made.start()
    try:
        yield made
    finally:
        if (folder / "data/postmaster.pid").exists():
            made.stop()
