"""One process of DVC's that runs a chain of stages: its start, what it says, its log. Decides nothing."""

import os
import re
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from aigc.core import paths, process
from aigc.training import progress

LOGS = paths.CHECKPOINTS / "logs"
DVC = [sys.executable, "-P", str(Path(__file__).with_name("dvc_chain.py")), "--wait-for-lock", "repro", "-s"]
SAID = re.compile(r"(Running stage|Stage) '(?P<stage>[^']+)'(?P<rest>.*)")  # lines of DVC's
FAILED = re.compile(r"failed to reproduce(?: stages:)? '(?P<stage>[^']+)'")
SPEAKERS = ("fast", "warning")  # begin a line of a stage, as its name and its method do
TAIL = 60  # lines that are kept in memory
CHUNK = 1 << 16


@dataclass(frozen=True)
class Event:
    """stage: its name. kind: running, unchanged or restored; step, of a training; says, a line of its own."""

    stage: str
    kind: str
    step: progress.Step | None = None
    text: str = ""


class Job:
    """The chain `stages`, in a process that ends when this one does. slots: its devices, None = no choice.

    device: its CUDA_VISIBLE_DEVICES.
    """

    def __init__(self, stages: Sequence[str], flags: Sequence[str], slots: Sequence[str | None]) -> None:
        self.stages, self.slots = list(stages), list(slots)
        self.device = ",".join(name for name in slots if name is not None) or None
        self.log = LOGS / f"{stages[0].replace('/', '-')}.log"
        self.current = stages[0]
        self.started = time.monotonic()
        self.failed_stage = ""
        self._rest, self._is_closed = b"", False
        self._tail: deque[str] = deque(maxlen=TAIL)
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._stream = self.log.open("wb", buffering=0)
        parent = os.getpid()

        def begin() -> None:
            process.die_with_parent()
            if os.getppid() != parent:
                os._exit(1)

        self.child = subprocess.Popen([*DVC, *flags, "--", *stages], env=_environment(self.device),
                                      stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                      stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=begin)
        assert self.child.stdout
        self.output = self.child.stdout
        os.set_blocking(self.output.fileno(), False)

    def read(self) -> Iterator[Event]:
        """What was said since the last call; a line may have come in part."""
        while chunk := self._chunk():
            *lines, self._rest = (self._rest + chunk).split(b"\n")
            for line in lines:
                yield from self._understand(line)

    def _chunk(self) -> bytes:
        try:
            chunk = os.read(self.output.fileno(), CHUNK)
        except BlockingIOError:
            return b""
        self._is_closed = not chunk
        return chunk

    def has_ended(self) -> bool:
        """Whether the process is gone. What it started may hold the pipe open; what it said can be read."""
        if self._is_closed:
            self.child.wait()
        return self.child.poll() is not None

    def _understand(self, line: bytes) -> Iterator[Event]:
        text = line.decode(errors="replace")
        if step := progress.parse(text):
            yield Event(self.current, "step", step)
            return
        with suppress(OSError):  # a full disk; the stages themselves will say so
            self._stream.write(line + b"\n")
        self._tail.append(text)
        if found := SAID.match(text):
            self.current = found["stage"]
            skipped = "restored" if "is cached" in found["rest"] else "unchanged"
            yield Event(self.current, "running" if found[1] == "Running stage" else skipped)
        elif failed := FAILED.search(text):
            self.failed_stage = failed["stage"]
        elif text.partition(":")[0] in (*self.current.split("@"), *SPEAKERS):
            yield Event(self.current, "says", text=text)

    def close(self) -> int:
        """After its end: the exit code."""
        with suppress(OSError):
            self._stream.write(self._rest)
        self._tail.append(self._rest.decode(errors="replace"))
        self._stream.close()
        self.output.close()
        return self.child.wait()

    def reason(self, code: int) -> str:
        """Why it failed, in one line: the stage's own words where it has any, else DVC's."""
        if code < 0:
            return f"its dvc was ended by {signal.Signals(-code).name}"
        lines = list(self._tail)
        own = [line for line in lines if line.startswith("error: ")]
        if own:
            return own[-1].removeprefix("error: ")
        if process.TRACEBACK in lines:  # DVC's words after it say less
            lines = [line for line in lines if not line.startswith("ERROR: failed to reproduce")]
        return process.reason("\n".join(lines))


def _environment(device: str | None) -> dict[str, str]:
    here = str(Path(sys.executable).parent)
    own = {"PATH": os.pathsep.join([here, os.environ.get("PATH", os.defpath)]), "PYTHONUNBUFFERED": "1",
           progress.VARIABLE: "1"}
    return {**os.environ, **own, **({} if device is None else {"CUDA_VISIBLE_DEVICES": device})}
