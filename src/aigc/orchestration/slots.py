"""How many jobs may run at a time, and on which devices each."""

import os
import sys
from subprocess import PIPE

from aigc.core import config, process
from aigc.core.cuda import VISIBLE
from aigc.core.errors import ConfigError
from aigc.core.runtime import RuntimeConfig
from aigc.core.sharing import DEVICES, processes_here
from aigc.training.config import TrainConfig

COUNT_DEVICES = "import torch; print(torch.cuda.device_count())"


def devices_of_training(count: int | None) -> int:
    """The processes, and slots, of a stage that they share; they are put into the environment of the stages.

    count: as on the command line, None = as the environment says. Raises ConfigError where they cannot share
    the shards.
    """
    if count is not None:
        os.environ[DEVICES] = str(count)
    found = processes_here()
    if found > 1:
        config.section("train", TrainConfig).check_processes(found)
    return found


def choose(jobs: int | None, each: int = 1) -> list[str | None]:
    """The slots of the jobs that may run at a time: a device each, or None for whatever the stage finds.

    jobs: as on the command line, None = as many as fit. each: the slots of a training. Raises ConfigError
    below 1, above the number of devices, and where a training would never have enough slots.
    """
    if jobs is not None and jobs < 1:
        raise ConfigError(f"-j {jobs}: at least 1")
    switches = config.section("runtime", RuntimeConfig)
    names = devices() if switches.arithmetic == "fast" else []
    if jobs is not None and jobs < each:
        raise ConfigError(f"-j {jobs}: a training of {each} processes (--devices) takes the place of {each} "
                          f"jobs; -j {each} or more, or fewer --devices")
    if not names:
        return [None] * (jobs or max(each, process.cores() // switches.threads))
    if each > len(names):
        raise ConfigError(f"--devices {each}: a process of a training needs a device of its own, and there "
                          f"are {len(names)} ({', '.join(names)})")
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
