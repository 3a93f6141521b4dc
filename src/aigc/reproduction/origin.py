"""On which machine the committed dvc.lock was made, and the seconds of its stages: lock_origin.json."""

from pathlib import Path

from aigc.core import files
from aigc.workspace import durations, lockfile, machine
from aigc.workspace.paths import LOCK, LOCK_ORIGIN


def record() -> int:
    """Write lock_origin.json beside dvc.lock, unless the lock is the one on record."""
    lockfile.insist_on_a_whole_lock()
    if not machine_of(Path()):
        files.write_json(LOCK_ORIGIN, {"lock_sha256": files.sha256(LOCK), "machine": machine.describe(),
                                       "seconds": durations.read()})
        print(f"{LOCK_ORIGIN}: written; commit it with {LOCK}")
    return 0


def machine_of(folder: Path) -> dict[str, str]:
    """The machine that made the dvc.lock in `folder`; {} where lock_origin.json is not of that lock."""
    origin = files.read_json(folder / LOCK_ORIGIN) if (folder / LOCK_ORIGIN).exists() else {}
    return dict(origin["machine"]) if origin.get("lock_sha256") == files.sha256(folder / LOCK) else {}
