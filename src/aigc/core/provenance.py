"""Where a thing comes from, as hashes: of arrays, of code, of the machine and its libraries."""

import hashlib
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aigc.core import files, paths

if TYPE_CHECKING:
    import numpy as np

PACKAGE = Path(__file__).resolve().parent.parent


def array_sha256(array: "np.ndarray") -> str:
    """sha256 over dtype, shape and C-order bytes of an array; reads a memory map in chunks."""
    digest = hashlib.sha256(f"{array.dtype.str}{array.shape}".encode())
    rows = files.rows_at_once(array[:1].nbytes)
    for start in range(0, len(array), rows):
        digest.update(array[start:start + rows].tobytes())
    return digest.hexdigest()


def loaded_code() -> dict[str, str]:
    """{module: sha256} of every module of ours that this process has imported."""
    hashes = {}
    for name, module in sorted(sys.modules.items()):
        source = getattr(module, "__file__", None)
        if name.startswith("aigc.") and source and Path(source).is_relative_to(PACKAGE):
            hashes[name] = files.sha256(Path(source))
    return hashes


def fingerprint(params: Mapping[str, Any], deps: Mapping[str, str]) -> tuple[str, dict[str, Any]]:
    """The identity of a training run: (sha256, what was hashed).

    Hashed are its params, the hashes of its deps, the code that is loaded and requirements.lock.
    """
    identity = {"params": dict(params), "deps": dict(deps), "code": loaded_code(),
                "requirements": files.sha256(paths.REQUIREMENTS)}
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest(), identity


def digest(value: Any) -> str:
    """The first 16 hexadecimal digits of the sha256 of a value's canonical JSON."""
    return hashlib.sha256(files.canonical_json(value).encode()).hexdigest()[:16]


def machine() -> dict[str, str]:
    """What the same bytes may depend on: processor, C library, Python and the libraries that compute."""
    return {
        "cpu": cpu_model(),
        "cpu_count": str(os.cpu_count()),
        "glibc": " ".join(platform.libc_ver()),
        "platform": platform.platform(terse=True),
        "python": platform.python_version(),
        **{name: metadata.version(name) for name in ("torch", "numpy", "scipy", "dvc", "mlflow")},
    }


def cpu_model() -> str:
    """Vendor, family, model and name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    return (f"{facts.get('vendor_id', '?')} {facts.get('cpu family', '?')}/{facts.get('model', '?')} "
            f"{facts.get('model name', platform.machine())}")


def git(*arguments: str) -> str:
    """What git prints for `arguments` in the current folder; "" where git cannot answer."""
    try:
        return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return ""


DIFF = ("diff", "--binary", "--no-color", "--no-ext-diff", "--no-textconv", "--src-prefix=a/", "--dst-prefix=b/")
SOURCES = ("src", "*.py", "*.yaml", "*.toml", "*.lock", "*.html", "*.css", "*.dvc")  # as git's pathspecs
MOST_BYTES = 1 << 20  # of one untracked source file


def uncommitted() -> bytes:
    """The difference between HEAD and the working tree, untracked source files included, as one patch (b"" when clean).

    Not in it: untracked files of other kinds, over MOST_BYTES, or in a folder of the root in which git tracks nothing.
    """
    known = git("ls-tree", "-z", "--name-only", "HEAD").split("\0")
    untracked = [name for name in git("ls-files", "-z", "--others", "--exclude-standard", "--", *SOURCES).split("\0")
                 if Path(name).is_file() and Path(name).stat().st_size <= MOST_BYTES and ("/" not in name or name.partition("/")[0] in known)]
    commands = [[*DIFF, "HEAD"], *([*DIFF, "--no-index", "/dev/null", name] for name in untracked)]
    # Exit code 1 says only that there is a difference.
    return b"".join(subprocess.run(["git", *command], capture_output=True, check=False).stdout for command in commands)
