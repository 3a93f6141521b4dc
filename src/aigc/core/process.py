"""What every process needs: streams, signals, errors as one line, exit codes, locks. Nothing numeric."""

import ctypes
import errno
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

from aigc.core.errors import AigcError, StorageError, is_out_of_memory

PR_SET_PDEATHSIG = 1
USAGE_EXIT_CODE = 2
CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")
NO_HOME = "/nonexistent"  # as Debian's passwd has it for users without one
LAUNCHER = "AIGC_LAUNCHER"  # the pid of the stage that had torch's agent start this process
AGENT, REPLY = "TORCHELASTIC_RUN_ID", "TORCHELASTIC_ERROR_FILE"  # set by torch's agent for what it starts
GRACE_SECONDS = 3.0  # in which a child may end by itself, and in which a repeated signal counts once
# Lines of another program's stderr.
ADVICE = ("hint:", "Having any troubles?", "warning:", "WARNING:")
QUOTED = re.compile(r"\d+\s")
TRACEBACK = "Traceback (most recent call last):"
LONGEST_REASON = 600  # characters
REASON = ("ERROR:", "Error:", "error:", "fatal:")


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP, which end a command as Ctrl-C does: `with` and `finally` clean up."""

    def __init__(self, signal_number: int) -> None:
        super().__init__()
        self.signal_number = signal_number


def start() -> None:
    """Call first in a process: gives it three standard streams that take any text, a home and a user name.

    Text that the locale cannot encode is printed as an escape. A closed stream becomes /dev/null, since the
    next file that is opened would take its number. Some libraries raise at import where neither the
    environment nor passwd names a home.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 (for good)
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    if os.path.expanduser("~") == "~":  # noqa: PTH111 (pathlib raises)
        os.environ["HOME"] = NO_HOME
    # As getpass.getuser looks for it.
    named = any(os.environ.get(name) for name in ("LOGNAME", "USER", "LNAME", "USERNAME"))
    if not named and not _has_passwd_entry():
        os.environ["LOGNAME"] = f"uid{os.getuid()}"


def _has_passwd_entry() -> bool:
    import pwd

    with suppress(KeyError):
        return bool(pwd.getpwuid(os.getuid()))
    return False


def guarded(work: Callable[[], int | None], debug: Callable[[], bool] = lambda: False) -> int:
    """Run `work`; print an expected error as one line on stderr and return the exit code.

    Where `debug` says so afterwards (or with AIGC_DEBUG=1 in the environment) the traceback is printed too.
    """
    try:
        try:
            return work() or 0
        finally:
            sys.stdout.flush()
    except AigcError as error:
        return _report(error, str(error), error.exit_code, debug())
    except KeyboardInterrupt as error:
        number = getattr(error, "signal_number", signal.SIGINT)
        reason = "interrupted" if number == signal.SIGINT else f"ended by {signal.Signals(number).name}"
        return _report(error, reason, 128 + number, debug())
    except BrokenPipeError:
        _drop_output()
        return 128 + signal.SIGPIPE
    except (OSError, MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not is_out_of_memory(error):
            raise
        _drop_output()
        return _report(error, _explain(error), 1, debug())


def _report(error: BaseException, message: str, code: int, debug: bool) -> int:
    if REPLY in os.environ:
        _reply(error, message, code)
    with suppress(OSError):  # nobody reads stderr any more
        if debug or os.environ.get("AIGC_DEBUG"):
            import traceback

            traceback.print_exception(error)
        if os.environ.get(LAUNCHER) != str(os.getppid()):  # who prints the error of one of its processes
            print(f"error: {message}", file=sys.stderr, flush=True)
    return code


def _reply(error: BaseException, message: str, code: int) -> None:
    """Tell the agent that started this process, in the form that torchrun prints."""
    extra = {"timestamp": str(int(time.time())), "kind": type(error).__name__, "exit_code": code}
    with suppress(OSError):
        Path(os.environ[REPLY]).write_text(json.dumps({"message": {"message": message, "extraInfo": extra}}))


def _drop_output() -> None:
    """Send to /dev/null what cannot be written, so that Python does not try again at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _explain(error: OSError | MemoryError | RuntimeError) -> str:
    if not isinstance(error, OSError):
        return (f"out of memory ({' '.join(str(error).split())[:150]}); smaller batches or a machine with "
                "more memory are the remedy")
    place = f"{error.filename}: " if error.filename else ""
    remedy = {errno.ENOSPC: "; make room and run again", errno.EACCES: "; give permission and run again",
              errno.EROFS: "; the disk is mounted read-only"}.get(error.errno or 0, "")
    return f"{place}{error.strerror or error}{remedy}"


@contextmanager
def terminating() -> Iterator[None]:
    """Raise Terminated on SIGTERM, SIGHUP and SIGINT within the block, unless they are ignored (nohup).

    For commands, in the main thread. A stage stops by StopRequest while it trains, and at once otherwise.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    last = -GRACE_SECONDS

    def end(number: int, _frame: object) -> None:
        nonlocal last
        if _held is not None:
            _held.append(number)
            return
        since, last = time.monotonic() - last, time.monotonic()
        if since > GRACE_SECONDS:  # `timeout` and a closed terminal send it twice
            raise Terminated(number)

    previous = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)}
    wanted = [number for number, handler in previous.items() if handler is not signal.SIG_IGN]
    for number in wanted:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in wanted:
            signal.signal(number, previous[number])


_held: list[int] | None = None  # signals that came while a child is being started


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Delay to the end of the block what `terminating` raises, as while a child is started."""
    global _held
    _held = []
    try:
        yield
    finally:
        came, _held = _held, None
    if came:
        raise Terminated(came[0])


def call(command: Sequence[str], stdin: bytes | None = None,
         **options: Any) -> "subprocess.CompletedProcess[bytes]":
    """As subprocess.run(input=stdin), but when this raises, the child and all that it started have ended.

    subprocess.run would kill the child alone.
    """
    global _held
    pipe = {"stdin": subprocess.DEVNULL if stdin is None else subprocess.PIPE}
    _held = []  # an exception within Popen would lose the child
    try:
        child = subprocess.Popen(command, start_new_session=True, **{**pipe, **options})
    except BaseException:
        _held = None
        raise
    with child:
        try:
            came, _held = _held, None
            if came:
                raise Terminated(came[0])
            out, err = child.communicate(stdin)
        except BaseException:
            end_sessions([child])
            raise
    return subprocess.CompletedProcess(command, child.returncode, out, err)


def end_sessions(children: "Sequence[subprocess.Popen[bytes]]") -> None:
    """End the process groups of children that lead one: by SIGINT, then SIGTERM, then SIGKILL.

    Returns when they are gone. All get a signal before any is waited for.
    """
    left = list(children)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        for child in left:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, number)
        deadline = time.monotonic() + GRACE_SECONDS
        while time.monotonic() < deadline:
            for child in left:
                child.poll()
            left = [child for child in left if _is_alive(child.pid)]
            if not left:
                return
            time.sleep(0.02)


def _is_alive(group: int) -> bool:
    """Whether a process group has a member that is no zombie: in a container nobody may reap an orphan."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    found = False
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            fields = stat.read_text(encoding="ascii", errors="replace").rpartition(")")[2]
            state, _, member = fields.split()[:3]
            if int(member) == group:
                found = True
                if state not in "ZX":
                    return True
    return not found


def reason(stderr: bytes | str) -> str:
    """Why a program failed, as one line, from its stderr.

    The lines of an error, else a traceback's last line, else all lines; without advice and without the
    numbered lines of a file that DVC quotes.
    """
    text = stderr.decode(errors="replace") if isinstance(stderr, bytes) else stderr
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith(ADVICE) and not QUOTED.match(line)]
    errors = [line for line in lines if line.startswith(REASON)]
    shown = errors or (lines[-1:] if TRACEBACK in lines else lines)
    return " ".join(shown)[:LONGEST_REASON] or "no message"


def die_with_parent() -> None:
    """Ask the kernel for SIGTERM when the parent ends, so that no writer outlives the DVC that started it.

    Where the parent has ended already, the process ends here. What DVC starts is in DVC's process group, and
    the process that adopts an orphan (init, or what acts as one) is in another. What torch's agent starts is
    in a group of its own, and knows the agent's pid.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if is_launched():
            is_orphan = os.environ[LAUNCHER] != str(os.getppid())
        else:
            is_orphan = "DVC_STAGE" in os.environ and os.getpgid(os.getppid()) != os.getpgrp()
        if is_orphan:
            os.kill(os.getpid(), signal.SIGTERM)


def is_launched() -> bool:
    """Whether a stage had this process started, as one of several."""
    return os.environ.get(LAUNCHER, str(os.getpid())) != str(os.getpid())


def is_one_of_several() -> bool:
    """Whether torch's agent started this process, as one of those that share a stage."""
    return AGENT in os.environ


def shares_a_training() -> bool:
    """Whether this process is one of several, or the stage that started them."""
    return is_one_of_several() or LAUNCHER in os.environ


def leave(code: int) -> NoReturn:
    """End at once, when all is written and said: on a busy machine torch takes seconds to unload itself."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(code)


def rank() -> int:
    """Which of the processes of a stage this is; 0 = the one that writes, or the only one."""
    return int(os.environ["RANK"]) if is_one_of_several() else 0


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
        self._previous = {number: signal.signal(number, self._note)
                          for number in (signal.SIGTERM, signal.SIGINT)}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, _frame: object) -> None:
        self.signal_number = number


def cores() -> int:
    """The CPU cores that this process may use: its affinity, and the quota of its container (cgroup v2)."""
    available = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    with suppress(OSError, ValueError):  # no such file; "max" = no quota
        quota, period = CPU_QUOTA.read_text().split()
        available = min(available, max(1, int(quota) // int(period)))
    return available
