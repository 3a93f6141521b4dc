"""What a person sees of stages that run side by side: a live table on a terminal, else a line an event."""

import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from aigc.training.progress import Step

if TYPE_CHECKING:
    from rich.table import Table

REFRESH_SECONDS = 0.25


@dataclass
class Running:
    """A stage at work. first: its first report of progress, and when it came."""

    stage: str
    device: str | None
    started: float = field(default_factory=time.monotonic)
    step: Step | None = None
    first: tuple[float, Step] | None = None

    def note(self, step: Step) -> None:
        if self.first is None or self.first[1].label != step.label:
            self.first = (time.monotonic(), step)
        self.step = step

    def steps_per_second(self) -> float:
        """0 where it is not known yet."""
        if self.first is None or self.step is None:
            return 0.0
        since, before = self.first
        return (self.step.step - before.step) / max(time.monotonic() - since, 1e-9)

    def columns(self) -> tuple[str, ...]:
        """Stage, step, images/s, time left, time since its start."""
        device = "" if self.device is None else f" on device {self.device}"
        spent = clock(time.monotonic() - self.started)
        if self.step is None:
            return f"{self.stage}{device}", "", "", "", spent
        pace, left = self.steps_per_second(), self.step.steps - self.step.step
        share = 100 * self.step.step / max(self.step.steps, 1)
        return (f"{self.stage}{device}", f"step {self.step.step:,} of {self.step.steps:,} ({share:.0f}%)",
                f"{pace * self.step.batch:,.0f} images/s" if pace else "",
                f"{clock(left / pace)} left" if pace and left else "", spent)


class Display:
    """Writes to stderr. Call `refresh` now and then."""

    def __init__(self) -> None:
        self.running: dict[str, Running] = {}
        self._next = 0.0
        self._live = None
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=Console(stderr=True, highlight=False), auto_refresh=False,
                              transient=True)

    def __enter__(self) -> "Display":
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self._live.stop()

    def say(self, text: str) -> None:
        """One line that stays."""
        if self._live:
            self._live.console.print(text, markup=False, soft_wrap=True)
        else:
            print(text, file=sys.stderr, flush=True)

    def begin(self, stage: str, device: str | None) -> None:
        self.running[stage] = Running(stage, device)
        if not self._live:
            self.say(f"{stage}: runs" + ("" if device is None else f" on device {device}"))

    def end(self, stage: str, how: str) -> None:
        """how: what became of it, such as "done"; the seconds are added where it ran."""
        ran = self.running.pop(stage, None)
        self.say(f"{stage}: {how}" + (f" in {time.monotonic() - ran.started:.1f} s" if ran else ""))

    def note(self, stage: str, step: Step) -> None:
        if stage in self.running:
            self.running[stage].note(step)

    def refresh(self) -> None:
        if self._live and time.monotonic() >= self._next:
            self._next = time.monotonic() + REFRESH_SECONDS
            self._live.update(self._table(), refresh=True)

    def _table(self) -> "Table":
        from rich.table import Table

        table = Table.grid(padding=(0, 2))
        for running in self.running.values():
            table.add_row(*running.columns())
        return table


def clock(seconds: float) -> str:
    """75 -> 1:15; 3675 -> 1:01:15"""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
