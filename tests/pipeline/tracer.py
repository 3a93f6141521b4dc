"""Copied into a test project as src/sitecustomize.py: notes what a stage imports and opens."""

import atexit
import json
import os
import sys
from pathlib import Path

if "aigc.stages" in sys.orig_argv and os.environ.get("DVC_STAGE"):
    root, opened = Path.cwd(), set()

    def note(event: str, arguments: tuple) -> None:
        # Reads only: flags without O_WRONLY, O_RDWR. Called very often, hence plain strings.
        if event == "open" and not arguments[2] & 3 and isinstance(arguments[0], str | os.PathLike):
            opened.add(os.fspath(arguments[0]))

    def write() -> None:
        modules = [
            module.__file__ for module in list(sys.modules.values()) if getattr(module, "__file__", None)
        ]
        # Code counts when it is imported: MLflow copies all of it beside a model, which no out depends on.
        read = [str(root / path) for path in map(os.fsdecode, opened) if not path.endswith((".py", ".pyc"))]
        inside = sorted(
            {
                str(Path(path).relative_to(root))
                for path in {*read, *modules}
                if Path(path).is_relative_to(root)
            }
        )
        folder = root / ".trace"
        folder.mkdir(exist_ok=True)
        (folder / f"{os.environ['DVC_STAGE'].rpartition(':')[2]}.json").write_text(json.dumps(inside))

    sys.addaudithook(note)
    atexit.register(write)
