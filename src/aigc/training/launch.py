"""Starts the processes of a stage that several share, and tells of their failures in one line.

torch's elastic agent runs in the stage's own process, so that a signal of DVC's, or its end, reaches all.
Nothing here can change a byte of an out.
"""

import json
import logging
import os
import signal
import sys
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from aigc.core import cuda, process
from aigc.core.errors import AigcError, Interrupted
from aigc.core.sharing import DEVICES, processes_here
from aigc.training.config import TrainConfig

if TYPE_CHECKING:
    from torch.distributed.elastic.multiprocessing.errors import ProcessFailure
    from torch.distributed.launcher.api import LaunchConfig

NODES, PORT = "PET_NNODES", "PET_MASTER_PORT"  # torchrun's options as variables: each has one
CONFIGURED = "PET_RDZV_CONF"
DEFAULT_PORT = 29500  # torchrun's
# The agent's end waits for the next of its heartbeats, 5 s apart by default. No other host needs them.
ALONE = "keep_alive_interval=1,keep_alive_max_attempt=600"
HERE = "127.0.0.1"
MEET_SECONDS = 300  # in which all hosts must have started
SAVE_SECONDS = 120  # from a signal to SIGKILL: a checkpoint may be large
SECONDARY = "LostContact"  # an error that another process's end caused
QUIET = {"TORCH_CPP_LOG_LEVEL": "FATAL"}  # torch's warnings from C++: they repeat what the one line says
LOCAL = {"GLOO_SOCKET_IFNAME": "lo"}  # on one host gloo needs no other interface


def launch(stage: Sequence[str], train: TrainConfig, fast: bool) -> bool:
    """Run a stage in as many processes as the environment says, if that is more than one; whether it did.

    Returns when they have ended. Raises AigcError with the reason of the one that failed first.
    """
    if process.is_one_of_several():
        return False
    count, is_alone = processes_here(), os.environ.get(NODES, "1") in ("1", "1:1")
    if is_alone:
        if count == 1:
            return False
        train.check_processes(count)
    has_gpus = fast and cuda.check_processes(count, DEVICES)
    from torch.distributed import run as torchrun
    from torch.distributed.launcher.api import elastic_launch

    os.environ[process.LAUNCHER] = str(os.getpid())
    for variable, value in {**QUIET, **(LOCAL if is_alone and sys.platform == "linux" else {})}.items():
        os.environ.setdefault(variable, value)
    logging.disable(logging.ERROR)  # the agent's own: they repeat what the one line says
    with tempfile.TemporaryDirectory(prefix="aigc-processes-") as logs:
        redirects = ",".join(f"{rank}:3" for rank in range(1, count)) or "0"  # 3 = stdout and stderr
        options = ["--nproc-per-node", count, "--log-dir", logs, "--redirects", redirects,
                   "--signals-to-handle", "SIGTERM,SIGINT", "--shutdown-timeout", SAVE_SECONDS,
                   *_meeting(is_alone), *(["--virtual-local-rank"] if has_gpus else [])]
        arguments = [*map(str, options), "-m", "aigc.stages", *stage]
        config, command, words = torchrun.config_from_args(torchrun.parse_args(arguments))
        with _explaining(config, Path(logs)):
            elastic_launch(config, command)(*words)
    return True


def _meeting(is_alone: bool) -> list[object]:
    """torchrun's options for where the processes meet."""
    if is_alone:
        return ["--rdzv-backend", "c10d", "--rdzv-endpoint", f"{HERE}:0", "--rdzv-id", uuid.uuid4().hex,
                "--local-addr", HERE, "--rdzv-conf", ALONE]
    return [*([] if PORT in os.environ else ["--master-port", DEFAULT_PORT]),
            *([] if CONFIGURED in os.environ else ["--rdzv-conf", f"timeout={MEET_SECONDS}"])]


@contextmanager
def _explaining(config: "LaunchConfig", logs: Path) -> Iterator[None]:
    """Turn what the agent raises into one line."""
    from torch.distributed import DistError
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.elastic.rendezvous import RendezvousError

    try:
        yield
    except SignalException as error:
        raise _cause(logs, {}) or Interrupted(f"ended by {error.sigval.name}", error.sigval) from error
    except ChildFailedError as error:
        raise _cause(logs, error.failures) or AigcError("a process failed") from error
    except (DistError, RendezvousError) as error:
        reason, place = " ".join(str(error).split()), config.rdzv_endpoint
        if "EADDRINUSE" in reason:
            raise AigcError(f"{place}: the port is in use; choose another by {PORT}, on all hosts") from error
        raise AigcError(f"{place}: the processes did not meet there within "
                        f"{config.rdzv_configs.get('timeout')} s; start the stage on all hosts, and check "
                        f"PET_MASTER_ADDR, {PORT} and the route ({reason[:150]})") from error


def _cause(logs: Path, failures: "dict[int, ProcessFailure]") -> AigcError | None:
    """The error that came first: what a process said, else how one ended. The others only lost contact."""
    replies = [json.loads(path.read_text())["message"] for path in sorted(logs.glob("*/*/*/error.json"))]
    primary = [reply for reply in replies if reply["extraInfo"]["kind"] != SECONDARY]
    if primary:
        return _said(primary[0])
    for rank, failure in sorted(failures.items(), key=lambda item: item[1].exitcode == -signal.SIGTERM):
        if failure.exitcode < 0:
            name = signal.Signals(-failure.exitcode).name
            return AigcError(f"process {rank} was ended by {name}; run again to go on from the last "
                             "checkpoint")
        if not Path(failure.error_file).exists():
            said = next(logs.glob(f"*/*/{failure.local_rank}/stderr.log"), None)
            reason = process.reason(said.read_bytes()) if said else "see above"
            return AigcError(f"process {rank} failed with exit code {failure.exitcode}: {reason}")
    return _said(replies[0]) if replies else None


def _said(reply: dict[str, dict[str, str]]) -> AigcError:
    error = AigcError(reply["message"])
    error.exit_code = int(reply["extraInfo"]["exit_code"])
    return error
