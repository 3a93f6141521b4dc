"""dvc.lock: read as DVC reads it, and checked to be whole, since DVC does not write it atomically."""

import fcntl
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aigc.core import files
from aigc.core.errors import StorageError
from aigc.workspace.paths import LOCK

DVC_LOCK = Path(".dvc/tmp/lock")  # DVC holds it, by flock, while it writes
PATIENCE = 30.0  # seconds in which DVC ends what it writes
ENTRY = re.compile(r"^(?=  \S)", re.MULTILINE)
HEAD = "schema: '2.0'\nstages:\n"


@contextmanager
def undisturbed() -> Iterator[None]:
    """Keep DVC from writing within the block. It must be short: a DVC that does not wait gives up after 3 s.

    After PATIENCE seconds, and where DVC has not run yet, the block is entered all the same.
    """
    if not DVC_LOCK.parent.is_dir():
        yield
        return
    with DVC_LOCK.open("a") as stream:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.02)
        yield


def entries(text: str) -> dict[str, str]:
    """{stage: its lines} of the text of a dvc.lock; {} where it holds anything else."""
    if not text.startswith(HEAD) or not text.endswith("\n"):
        return {}
    blocks = ENTRY.split(text.removeprefix(HEAD))
    found = {block.partition(":\n")[0].strip(): block for block in blocks if block}
    return {} if re.search(r"^\S", text.removeprefix(HEAD), re.MULTILINE) else found


def outs_of(entry: str) -> str:
    """The lines of a stage's outs."""
    return entry.partition("    outs:\n")[2]


def arrange(first: Sequence[str], then: Sequence[str]) -> None:
    """Write the stages of dvc.lock in the order in which one `dvc repro` would have added them.

    first: those that it had; then: the order of the others. Any further ones come last, as they are.
    """
    with undisturbed():
        text = LOCK.read_text(encoding="utf-8") if LOCK.exists() else ""
        found = entries(text)
        wanted = [name for name in dict.fromkeys([*first, *then, *found]) if name in found]
        if wanted != list(found):
            files.write_bytes(LOCK, (HEAD + "".join(found[name] for name in wanted)).encode())


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
