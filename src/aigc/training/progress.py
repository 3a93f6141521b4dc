"""How far a training is, told to whom watches: a bar on a terminal, lines to `aigc repro`, else nothing.

Changes no out.
"""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Protocol

VARIABLE = "AIGC_PROGRESS"  # set by `aigc repro`, which reads the lines
MARK = "::aigc-progress "
INTERVAL_SECONDS = 0.5


@dataclass(frozen=True)
class Step:
    """label: of the training. step, steps: done and in all. batch: images a step."""

    label: str
    step: int
    steps: int
    batch: int


class Bar(Protocol):
    def update(self) -> object: ...


@contextmanager
def bar(label: str, done: int, steps: int, batch: int) -> Iterator[Bar]:
    """Yields what `update` is called of after each step."""
    if os.environ.get(VARIABLE):
        yield Lines(Step(label, done, steps, batch))
        return
    from tqdm import tqdm

    with tqdm(total=steps, initial=done, desc=f"train {label}", unit="step", disable=None,
              file=sys.stderr) as shown:
        yield shown


class Lines:
    """Writes a line to stderr at most every INTERVAL_SECONDS."""

    def __init__(self, start: Step) -> None:
        self.start, self.done, self._next = start, start.step, 0.0

    def update(self) -> None:
        self.done += 1
        now = time.monotonic()
        if now < self._next and self.done < self.start.steps:
            return
        self._next = now + INTERVAL_SECONDS
        with suppress(OSError):  # the reader is gone
            # In one write: other threads print too.
            sys.stderr.write(f"{MARK}{self.done} {self.start.steps} {self.start.batch} {self.start.label}\n")
            sys.stderr.flush()


def parse(line: str) -> Step | None:
    """The step that a line of `Lines` tells of; None for any other line."""
    if not line.startswith(MARK):
        return None
    try:
        done, steps, batch, label = line.removeprefix(MARK).split(" ", 3)
        return Step(label, int(done), int(steps), int(batch))
    except ValueError:  # another program's text in between
        return None
