"""Marks runs KILLED that a kill left RUNNING. A run names its writer: the machine and folder of its lock.

On a store that several machines share, a writer also renews a tag, so that another machine sees when it has
died.
"""

import fcntl
import platform
import threading
from contextlib import suppress
from pathlib import Path

import mlflow
from mlflow.entities import Run

from aigc.core import hashes, paths
from aigc.tracking import store

METHOD, FINGERPRINT = "aigc.method", "aigc.fingerprint"
WRITER = "aigc.writer"  # host:folder of the process that writes a run; its lock is there
HEARTBEAT = "aigc.heartbeat"  # when its writer lived, in ms since 1970; where the store may be shared
BEAT_SECONDS, SILENT_SECONDS = 30.0, 600.0  # between two beats; after which a silent writer counts as dead
RESTORED = "restored"  # in place of the fingerprint of a run whose training did not run here
MACHINE_ID, MACHINE = Path("/etc/machine-id"), "machine-"  # man 5 machine-id: publish only a hash of it


def close_abandoned(client: mlflow.MlflowClient, experiment: str) -> list[Run]:
    """Mark as KILLED, and return, each RUNNING run whose writer is gone, or on another machine and silent."""
    gone = [
        run for run in store.runs(client, experiment, "attributes.status = 'RUNNING'") if not _has_writer(run)
    ]
    for run in gone:
        client.set_terminated(run.info.run_id, "KILLED")
    return gone


def _has_writer(run: Run) -> bool:
    """Whether the writer of `run` holds its lock. One of another machine has one until it is silent."""
    written_by, folder = _writer_of(run)
    if beat := run.data.tags.get(HEARTBEAT):
        silent = (store.milliseconds() - int(beat)) / 1000
        if written_by != host() and silent > SILENT_SECONDS:
            return False
    lock = paths.training_lock(run.data.tags.get(METHOD, ""), run.data.tags.get(FINGERPRINT, RESTORED))
    if written_by == host():
        return (Path(folder) / lock).exists() and _is_held(Path(folder) / lock)
    return not (is_from_here(run) and lock.exists() and not _is_held(lock))


class Heart:
    """Renews the tag HEARTBEAT of a run until `stop`, in a thread. A store that is away is tried again."""

    def __init__(self, client: mlflow.MlflowClient, run_id: str) -> None:
        self._client, self._run_id, self._stopped = client, run_id, threading.Event()
        threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()

    def _beat(self) -> None:
        while True:
            with suppress(Exception):  # of whatever kind a store, its driver or the network raises
                self._client.set_tag(self._run_id, HEARTBEAT, str(store.milliseconds()))
            if self._stopped.wait(BEAT_SECONDS):
                return

    def stop(self) -> None:
        self._stopped.set()


def is_from_here(run: Run) -> bool:
    """Whether `run` may come from here. Without a machine-id a container has a new name at each start."""
    written_by, folder = _writer_of(run)
    return folder in ("", str(Path.cwd())) and (written_by == host() or not written_by.startswith(MACHINE))


def writer_tag() -> str:
    """The value of the tag WRITER for this process."""
    return f"{host()}:{Path.cwd()}"


def _writer_of(run: Run) -> tuple[str, str]:
    """Machine and folder of the process that writes, or wrote, `run`; both empty where the tag is missing."""
    machine, _, folder = run.data.tags.get(WRITER, "").partition(":")
    return machine, folder


def host() -> str:
    """This machine: a hash of its machine-id, since many are called localhost; its name where it has none."""
    try:
        known = MACHINE_ID.read_text().strip()
    except OSError:
        known = ""
    return f"{MACHINE}{hashes.short_digest(f'aigc {known}')}" if known else platform.node()


def _is_held(lock: Path) -> bool:
    with lock.open() as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False
