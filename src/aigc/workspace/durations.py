"""How long stages took: last time here, else where dvc.lock was made. Only the order of chains uses it."""

import json
from contextlib import suppress
from pathlib import Path

from aigc.core import files, paths
from aigc.core.errors import AigcError
from aigc.workspace.paths import LOCK_ORIGIN

SECONDS = paths.CHECKPOINTS / "logs" / "seconds.json"


def read() -> dict[str, float]:
    """{stage: seconds}, of those that are known."""
    return {**_read(LOCK_ORIGIN, "seconds"), **_read(SECONDS)}


def write(seconds: dict[str, float]) -> None:
    with suppress(AigcError, OSError):
        files.write_json(SECONDS, seconds)


def _read(place: Path, *keys: str) -> dict[str, float]:
    try:
        content = json.loads(place.read_bytes())
        for key in keys:
            content = content[key]
        return {str(name): float(value) for name, value in content.items()}
    except (OSError, LookupError, ValueError, AttributeError, TypeError):
        return {}
