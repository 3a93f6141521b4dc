"""`aigc mend`: clears what a kill or a power cut leaves: DVC's locks, half-written files, open runs.

DVC writes neither dvc.lock nor .dvc/tmp/rwlock atomically. It takes the lock of a dead process for held when
another process has that pid now.
"""

import argparse
import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from aigc.core import files, paths, process
from aigc.core.errors import AigcError
from aigc.workspace import git, lockfile
from aigc.workspace.paths import LOCK

RWLOCK = Path(".dvc/tmp/rwlock")
OURS_HALF_WRITTEN = re.compile(r"\..+\.(\d+)\.tmp")
SWEPT = (paths.RAW, paths.PROCESSED, paths.generated("x").parent, Path("models"), Path("reports"),
         paths.CHECKPOINTS, paths.DOWNLOADS, Path())


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    mend = commands.add_parser(
        "mend", help="clear what a kill or a power cut left of DVC's own files",
        description="Drop locks in .dvc/tmp/rwlock whose process is gone (or the file, if it was cut), "
                    "restore a dvc.lock that was cut while it was written, remove half-written temporary "
                    "files, and mark runs as KILLED whose process is gone. Touches nothing while a dvc is "
                    "at work here. `make repro` does it first.")
    mend.set_defaults(run=run)


def run(_: argparse.Namespace) -> int:
    """Mend what is broken and print what was. Raises AigcError while a dvc runs here."""
    if not Path(".dvc").is_dir():
        raise AigcError(f"{Path.cwd()}: no .dvc folder; run in the project's root")
    with _alone():
        done = [*_mend_rwlock(), *_mend_lock(), *_sweep(), *_close_runs()]
    print("\n".join(done) if done else "nothing to mend", file=sys.stderr)
    return 0


@contextmanager
def _alone() -> Iterator[None]:
    """Hold DVC's own lock of the repository. Raises AigcError when a dvc holds it, or runs a stage."""
    from dvc.lock import Lock, LockError

    from aigc.orchestration.run import ONLY_ONE

    for pid, command in _entries(_read_rwlock() or {}):
        if _is_dvc(pid):
            raise AigcError(f"process {pid} (`{command}`) is at work here; wait for it or stop it, then mend")
    RWLOCK.parent.mkdir(parents=True, exist_ok=True)
    try:
        side_by_side = process.only_writer(ONLY_ONE, patience=0) if ONLY_ONE.exists() else nullcontext()
        with side_by_side, Lock(str(RWLOCK.with_name("lock"))):
            yield
    except LockError:
        raise AigcError("another dvc is at work here (it holds .dvc/tmp/lock); "
                        "wait for it or stop it, then mend") from None


def _read_rwlock() -> dict[str, Any] | None:
    """The content of DVC's rwlock, None when it cannot be read as DVC reads it."""
    from dvc.rwlock import SCHEMA
    from voluptuous import Invalid

    try:
        content: dict[str, Any] = SCHEMA(json.loads(RWLOCK.read_bytes()))
        return content
    except FileNotFoundError:
        return {}
    except (ValueError, Invalid):
        return None


def _entries(rwlock: dict[str, Any]) -> list[tuple[int, str]]:
    writers = list(rwlock.get("write", {}).values())
    readers = [reader for some in rwlock.get("read", {}).values() for reader in some]
    return sorted({(entry["pid"], entry["cmd"]) for entry in writers + readers})


def _is_dvc(pid: int) -> bool:
    """Whether `pid` is a running dvc in, below or above this folder, not another program with that pid."""
    import psutil

    try:
        process = psutil.Process(pid)
        command = process.cmdline()
        root, theirs = Path.cwd().resolve(), Path(process.cwd())
        if not theirs.is_relative_to(root) and not root.is_relative_to(theirs):
            return False
        is_dvc = any("dvc" in Path(part).name for part in command[:3])
        return is_dvc and process.status() != psutil.STATUS_ZOMBIE
    except psutil.AccessDenied:
        return True
    except psutil.Error:
        return False


def _mend_rwlock() -> list[str]:
    content = _read_rwlock()
    if content == {} or (content is not None and not _entries(content)):
        return []
    RWLOCK.unlink()
    if content is None:
        return [f"{RWLOCK}: was cut; removed"]
    holders = ", ".join(str(pid) for pid, _ in _entries(content))
    return [f"{RWLOCK}: held by process {holders}, which is gone; removed"]


def _mend_lock() -> list[str]:
    """Restore from git a dvc.lock that DVC cannot read. DVC's run cache has what was made since."""
    if not LOCK.exists() or lockfile.is_whole(LOCK):
        return []
    if b"\n<<<<<<< " in b"\n" + LOCK.read_bytes():
        raise AigcError(f"{LOCK}: holds a merge that is not resolved; `git checkout --ours {LOCK}` "
                        "(or --theirs), then `dvc repro`")
    committed = git.committed(LOCK)
    if committed is None:
        LOCK.unlink()
        return [f"{LOCK}: was cut, and git has none; removed, "
                "`dvc repro` takes what was made from its run cache"]
    files.write_bytes(LOCK, committed)
    return [f"{LOCK}: was cut; restored from git, "
            "`dvc repro` takes what was made since from its run cache"]


def _sweep() -> list[str]:
    """Remove our temporary files whose writer is gone."""
    gone = []
    for folder in SWEPT:
        for path in sorted(folder.glob("*.tmp" if folder == Path() else "**/*.tmp")):
            match = OURS_HALF_WRITTEN.fullmatch(path.name)
            if match and not _is_stage(int(match[1])):
                path.unlink(missing_ok=True)
                gone.append(f"{path}: half-written by process {match[1]}, which is gone; removed")
    return gone


def _is_stage(pid: int) -> bool:
    import psutil

    try:
        return pid != os.getpid() and any("aigc" in part for part in psutil.Process(pid).cmdline())
    except psutil.AccessDenied:
        return True
    except psutil.Error:
        return False


def _close_runs() -> list[str]:
    """Mark as KILLED the RUNNING runs of the local store whose writer is gone."""
    if os.environ.get("MLFLOW_TRACKING_URI") or not Path("mlflow.db").exists():
        return []
    from aigc.tracking import killed, store

    client, experiment = store.open_store()
    return [f"run {run.info.run_id}: its process is gone; marked as KILLED"
            for run in killed.close_abandoned(client, experiment)]
