"""dvc.lock: read as DVC reads it, and checked to be whole, since DVC does not write it atomically."""

from pathlib import Path
from typing import Any

from aigc.core.errors import StorageError
from aigc.workspace.paths import LOCK


def read_lock(folder: Path) -> dict[str, Any]:
    """{stage: entry} of the dvc.lock in `folder`; {} where there is none. Raises StorageError if broken."""
    from ruamel.yaml import YAML, YAMLError

    path = folder / LOCK
    try:
        content = YAML(typ="safe", pure=True).load(path) if path.exists() else {"stages": {}}
        stages: dict[str, Any] = {**content["stages"]}
    except (YAMLError, KeyError, TypeError, ValueError):
        raise StorageError(f"{path}: not what DVC writes; resolve the merge in it, or restore it "
                           "(`aigc mend`)") from None
    return stages


def insist_on_a_whole_lock() -> None:
    """Raises StorageError when dvc.lock is cut: its last entry may not be what DVC wrote."""
    if LOCK.exists() and not is_whole(LOCK):
        raise StorageError(f"{LOCK}: was cut, or is not what DVC writes; `aigc mend` restores it")


def is_whole(lock: Path) -> bool:
    """Whether DVC can read `lock` and its last line is whole: DVC accepts a size without its last digits."""
    from dvc.exceptions import DvcException
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from dvc.utils.strictyaml import load
    from voluptuous import Invalid

    try:
        content, text = load(str(lock), COMPILED_LOCKFILE_SCHEMA)
    except (DvcException, Invalid, UnicodeDecodeError):
        return False
    entries = [entry for stage in (content or {}).get("stages", {}).values()
               for part in ("deps", "outs") for entry in stage.get(part, [])]
    return bool(content) and text.endswith("\n") and all(map(_is_complete, entries))


def _is_complete(entry: dict[str, Any]) -> bool:
    return "size" in entry and ("nfiles" in entry or not str(entry.get("md5", "")).endswith(".dir"))
