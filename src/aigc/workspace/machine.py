"""This machine and its libraries: what the same bytes may depend on."""

import os
import platform
from importlib import metadata
from pathlib import Path

LIBRARIES = ("torch", "numpy", "scipy", "dvc", "mlflow")


def describe() -> dict[str, str]:
    """Processor, C library, Python and the versions of the libraries that compute."""
    return {"cpu": cpu_model(), "cpu_count": str(os.cpu_count()), "glibc": " ".join(platform.libc_ver()),
            "platform": platform.platform(terse=True), "python": platform.python_version(),
            **{name: metadata.version(name) for name in LIBRARIES}}


def cpu_model() -> str:
    """Vendor, family, model and name of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    facts = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    return (f"{facts.get('vendor_id', '?')} {facts.get('cpu family', '?')}/{facts.get('model', '?')} "
            f"{facts.get('model name', platform.machine())}")
