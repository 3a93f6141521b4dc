"""What every process of ours does first and last: errors as one line, exit codes, death with its parent, locks.

Not for: anything numeric; standard library alone.
"""

import ctypes
import errno
import fcntl
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from aigc.core.errors import AigcError, StorageError

PR_SET_PDEATHSIG = 1
USAGE_EXIT_CODE = 2


def guarded(work: Callable[[], int | None], debug: bool = False) -> int:
    """Run `work`; print an expected error as one line on stderr and return the exit code.

    With `debug` (or AIGC_DEBUG=1 in the environment) the traceback comes too.
    """
    try:
        return work() or 0
    except AigcError as error:
        return _say(error, str(error), error.exit_code, debug)
    except KeyboardInterrupt as error:
        return _say(error, "interrupted", 128 + signal.SIGINT, debug)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except (OSError, MemoryError) as error:
        return _say(error, _explain(error), 1, debug)


def _say(error: BaseException, message: str, code: int, debug: bool) -> int:
    if debug or os.environ.get("AIGC_DEBUG"):
        import traceback

        traceback.print_exception(error)
    print(f"error: {message}", file=sys.stderr, flush=True)
    return code


def _explain(error: OSError | MemoryError) -> str:
    if isinstance(error, MemoryError):
        return f"out of memory ({error}); smaller batches or a machine with more memory are the remedy"
    place = f"{error.filename}: " if error.filename else ""
    remedy = {errno.ENOSPC: "; make room and run again", errno.EACCES: "; give permission and run again",
              errno.EROFS: "; the disk is mounted read-only"}.get(error.errno or 0, "")
    return f"{place}{error.strerror or error}{remedy}"


def die_with_parent() -> None:
    """Ask the kernel for SIGTERM when the parent ends, so that no writer outlives the DVC that started it; take it now where it has ended.

    What DVC starts is of DVC's process group; who adopts an orphan (init, or what acts as one) is of another.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if "DVC_STAGE" in os.environ and os.getpgid(os.getppid()) != os.getpgrp():
            os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def only_writer(lock: Path, patience: float = 60.0) -> Iterator[None]:
    """Hold `lock` (released by the kernel when the process ends, however it ends).

    Waits `patience` seconds for another holder to go; raises StorageError naming its pid when it does not.
    """
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a+") as stream:
        deadline = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    stream.seek(0)
                    raise StorageError(f"{lock}: held by process {stream.read().strip() or 'unknown'}; "
                                       "wait for it or stop it, then run again") from None
                time.sleep(0.1)
        stream.truncate(0)
        stream.write(f"{os.getpid()}\n")
        stream.flush()
        yield


class StopRequest:
    """SIGTERM and SIGINT turned into a flag, for work that stops at a safe point of its own."""

    def __init__(self) -> None:
        self.signal_number = 0

    def __enter__(self) -> "StopRequest":
        self._previous = {number: signal.signal(number, self._note) for number in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: object) -> None:
        self.signal_number = number
