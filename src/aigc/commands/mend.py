"""What a kill or a power cut leaves behind, cleared: DVC's locks and dvc.lock, half-written files, runs that never ended.

DVC writes neither dvc.lock nor .dvc/tmp/rwlock atomically, and takes a lock of a dead process for held when its pid is in use again.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aigc.core import files, paths
from aigc.core.errors import AigcError, StorageError

RWLOCK = Path(".dvc/tmp/rwlock")
OURS_HALF_WRITTEN = re.compile(r"\..+\.(\d+)\.tmp")
SWEPT = (paths.RAW, paths.PROCESSED, paths.generated("x").parent, Path("models"), Path("reports"), paths.CHECKPOINTS, paths.DOWNLOADS, Path())


def run() -> int:
    """Mend what is broken and say what was; 0 also when nothing was. Raises AigcError while a dvc is at work here."""
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

    for pid, command in _entries(_read_rwlock() or {}):
        if _is_dvc(pid):
            raise AigcError(f"process {pid} (`{command}`) is at work here; wait for it or stop it, then mend")
    RWLOCK.parent.mkdir(parents=True, exist_ok=True)
    try:
        with Lock(str(RWLOCK.with_name("lock"))):
            yield
    except LockError:
        raise AigcError("another dvc is at work here (it holds .dvc/tmp/lock); wait for it or stop it, then mend") from None


def _read_rwlock() -> dict[str, Any] | None:
    """The content of DVC's rwlock, None when it cannot be read as DVC reads it."""
    from dvc.rwlock import SCHEMA
    from voluptuous import Invalid

    try:
        content: dict[str, Any] = SCHEMA(json.loads(RWLOCK.read_text()))
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
    """Whether `pid` is alive and is a dvc in, below or above this folder; a pid that another program got since is not."""
    import psutil

    try:
        process = psutil.Process(pid)
        command = process.cmdline()
        root, theirs = Path.cwd().resolve(), Path(process.cwd())
        here = theirs.is_relative_to(root) or root.is_relative_to(theirs)
        return here and process.status() != psutil.STATUS_ZOMBIE and any("dvc" in Path(part).name for part in command[:3])
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
    return [f"{RWLOCK}: held by process {', '.join(str(pid) for pid, _ in _entries(content))}, which is gone; removed"]


def _mend_lock() -> list[str]:
    """Restore a dvc.lock that DVC cannot read from git; what was made since comes back from DVC's run cache."""
    if not paths.LOCK.exists() or is_whole(paths.LOCK):
        return []
    if b"\n<<<<<<< " in b"\n" + paths.LOCK.read_bytes():
        raise AigcError(f"{paths.LOCK}: holds a merge that is not resolved; `git checkout --ours {paths.LOCK}` (or --theirs), then `dvc repro`")
    committed = subprocess.run(["git", "show", f"HEAD:./{paths.LOCK}"], capture_output=True, check=False)
    if committed.returncode:
        paths.LOCK.unlink()
        return [f"{paths.LOCK}: was cut, and git has none; removed, `dvc repro` takes what was made from its run cache"]
    files.write_bytes(paths.LOCK, committed.stdout)
    return [f"{paths.LOCK}: was cut; restored from git, `dvc repro` takes what was made since from its run cache"]


def insist_on_a_whole_lock() -> None:
    """Raises StorageError when dvc.lock is cut: what it says last may not be what DVC made."""
    if paths.LOCK.exists() and not is_whole(paths.LOCK):
        raise StorageError(f"{paths.LOCK}: was cut, or is not what DVC writes; `aigc mend` restores it")


def is_whole(lock: Path) -> bool:
    """Whether DVC can read `lock`, and its last line is whole: DVC would not notice a size that lost its last digits."""
    from dvc.exceptions import DvcException
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from dvc.utils.strictyaml import load
    from voluptuous import Invalid

    try:
        content, text = load(str(lock), COMPILED_LOCKFILE_SCHEMA)
    except (DvcException, Invalid, UnicodeDecodeError):
        return False
    return bool(content) and text.endswith("\n") and all(
        _is_complete(entry) for stage in content.get("stages", {}).values() for part in ("deps", "outs") for entry in stage.get(part, []))


def _is_complete(entry: dict[str, Any]) -> bool:
    return "size" in entry and ("nfiles" in entry or not str(entry.get("md5", "")).endswith(".dir"))


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
    """Mark as KILLED the RUNNING runs of the local store whose writer is gone; a server's are closed by the next training."""
    if os.environ.get("MLFLOW_TRACKING_URI") or not Path("mlflow.db").exists():
        return []
    from aigc.tracking import runs

    client, experiment = runs.open_store()
    return [f"run {run.info.run_id}: its process is gone; marked as KILLED" for run in runs.close_abandoned(client, experiment)]
