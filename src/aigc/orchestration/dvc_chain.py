"""DVC's command line, with a dvc.lock that is written whole and at once: `python -P dvc_chain.py repro ...`

DVC reads and writes all of dvc.lock after each stage, which takes seconds of a core, and not atomically: the
stages beside it could read a part of it. Here one entry is replaced in the text, and the file by a rename.
The bytes are the same (a test compares them). Not for anything else: DVC decides and runs as always.
"""

import sys
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.append(str(Path(__file__).resolve().parents[2]))

from aigc.core import files
from aigc.workspace import lockfile


def write_entries() -> None:
    """Have DVC in this process write dvc.lock as described above. A lock of another form is left to DVC."""
    from dvc import dvcfile
    from dvc.stage import serialize
    from dvc.utils.serialize import dumps_yaml

    as_dvc_does = dvcfile.Lockfile.dump_stages

    def dump_stages(self: Any, stages: list[Any], **kwargs: Any) -> None:
        path = Path(self.path)
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        entries = lockfile.entries(before)
        if before and not entries:
            as_dvc_does(self, stages, **kwargs)
            return
        for stage in stages:
            entry = serialize.to_lockfile(stage, **kwargs)
            entries |= lockfile.entries(dumps_yaml({"schema": "2.0", "stages": entry}))
        after = lockfile.HEAD + "".join(entries.values())
        if after != before:
            files.write_bytes(path, after.encode())
            self.repo.scm_context.track_file(self.relpath)

    dvcfile.Lockfile.dump_stages = dump_stages


def main() -> int:
    from dvc.cli import main as dvc

    write_entries()
    code: int = dvc(sys.argv[1:])
    return code


if __name__ == "__main__":
    sys.exit(main())
