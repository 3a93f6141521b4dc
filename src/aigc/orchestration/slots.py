"""How many jobs may run at a time, and on which device each."""

import os
import sys
from subprocess import PIPE

from aigc.core import config, process
from aigc.core.errors import ConfigError
from aigc.core.runtime import RuntimeConfig

VISIBLE = "CUDA_VISIBLE_DEVICES"
COUNT_DEVICES = "import torch; print(torch.cuda.device_count())"


def choose(jobs: int | None) -> list[str | None]:
    """A slot for each job that may run at a time: its device, or None for whatever the stage finds.

    jobs: as on the command line, None = as many as fit. Raises ConfigError below 1, and above the number of
    devices.
    """
    if jobs is not None and jobs < 1:
        raise ConfigError(f"-j {jobs}: at least 1")
    switches = config.section("runtime", RuntimeConfig)
    names = devices() if switches.arithmetic == "fast" else []
    if not names:
        return [None] * (jobs or max(1, process.cores() // switches.threads))
    if jobs is not None and jobs > len(names):
        raise ConfigError(f"-j {jobs}: one job a device, and there are {len(names)} ({', '.join(names)}); to "
                          f"share a device, name it several times, as in {VISIBLE}={','.join(names[:1] * 2)}")
    return list(names[:jobs])


def devices() -> list[str]:
    """The CUDA devices by the names that CUDA_VISIBLE_DEVICES takes; [] where there is none."""
    named = os.environ.get(VISIBLE)
    if named is not None:
        found = [name.strip() for name in named.split(",")]
        return found[:next((index for index, name in enumerate(found) if name in ("", "-1")), len(found))]
    counted = process.call([sys.executable, "-c", COUNT_DEVICES], stdout=PIPE, stderr=PIPE)
    return [str(index) for index in range(int(counted.stdout or 0))]
