"""Runs a plan's chains side by side, and leaves dvc.lock as one `dvc repro` would have left it."""

import json
import selectors
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from aigc.core import files, paths, process, sharing
from aigc.core.errors import AigcError
from aigc.orchestration.display import REFRESH_SECONDS, Display
from aigc.orchestration.job import LOGS, Event, Job
from aigc.orchestration.plan import Plan
from aigc.orchestration.schedule import Schedule
from aigc.workspace import durations, lockfile
from aigc.workspace.paths import LOCK

ONLY_ONE = paths.CHECKPOINTS / "repro.lock"
ORDER = LOGS / "order.json"  # the stages that dvc.lock had, while stages run side by side
SHARED = ("train", *sharing.STAGES)  # begin the names of the stages that several processes can share
NAMED = 6  # stages in a message; more are counted


class Runner:
    """One `aigc repro`. slots: a device for each job that may run at a time, None where it is given none.

    flags: of `dvc repro`, for every chain. devices: the slots that a chain with a shared stage takes.
    """

    def __init__(self, plan: Plan, slots: Sequence[str | None], flags: Sequence[str], display: Display,
                 devices: int = 1) -> None:
        self.plan, self.free, self.flags, self.display = plan, list(slots), flags, display
        self.devices = devices
        self.seconds = durations.read()
        self.schedule = Schedule(plan.order, plan.upstream, plan.candidates, self.seconds)
        self.jobs: list[Job] = []
        self.began: dict[str, float] = {}
        self.made: set[str] = set()  # stages that ran or were restored
        self.before = _entries()
        self.selector = selectors.DefaultSelector()
        self.failures: list[str] = []

    def run(self) -> None:
        """Run all. Raises AigcError at the end where a stage failed. No process is left, however it ends."""
        try:
            while True:
                self.start_what_can_start()
                if not self.jobs:
                    break
                self.selector.select(REFRESH_SECONDS)
                for job in list(self.jobs):
                    self.listen(job)
                self.display.refresh()
        finally:
            process.end_sessions([job.child for job in self.jobs])
            self.selector.close()
            durations.write(self.seconds)
        if self.failures:
            raise AigcError("; ".join(self.failures) + self.skipped())

    def skipped(self) -> str:
        names = [name for name in self.schedule.skipped if name not in self.schedule.failed]
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        return f"; not run: {', '.join(names[:NAMED])}{more}" if names else ""

    def start_what_can_start(self) -> None:
        """Give free slots to chains, and pass over stages for which nothing has changed.

        A chain that needs more slots than are free waits for them, and what is less urgent waits with it.
        """
        while ready := self.schedule.ready():
            if spared := [name for name in ready if self.is_unchanged(name)]:
                for name in spared:
                    self.schedule.done(name)
            elif (count := self.slots_for(ready[0])) <= len(self.free):
                slots, self.free = self.free[:count], self.free[count:]
                with process.uninterrupted():  # a signal within would lose the process
                    job = Job(self.schedule.start(ready[0]), self.flags, slots)
                    self.jobs.append(job)
                self.selector.register(job.output, selectors.EVENT_READ)
            else:
                return

    def slots_for(self, first: str) -> int:
        """The slots that the chain of `first` takes."""
        is_shared = any(name.partition("@")[0] in SHARED for name in self.schedule.chain(first))
        return self.devices if is_shared else 1

    def is_unchanged(self, name: str) -> bool:
        """Whether a stage is as it was, since what it depends on was made again with the same outs."""
        made = self.plan.direct[name] & self.made
        if name in self.plan.stale or not made <= self.plan.intact:
            return False
        now = _entries()
        return all(upstream in now and upstream in self.before
                   and lockfile.outs_of(now[upstream]) == lockfile.outs_of(self.before[upstream])
                   for upstream in made)

    def listen(self, job: Job) -> None:
        """Take in what a job says, or its end."""
        has_ended = job.has_ended()
        for event in job.read():
            self.note(job, event)
        if has_ended:
            self.conclude(job)

    def note(self, job: Job, event: Event) -> None:
        if event.step:
            self.display.note(event.stage, event.step)
            return
        if event.kind == "says":
            self.display.say(event.text)
            return
        self.end_stages_before(job, event.stage)
        if event.kind == "running":
            self.began[event.stage] = time.monotonic()
            self.made.add(event.stage)
            self.display.begin(event.stage, job.device)
        elif event.kind == "restored":
            self.made.add(event.stage)
            self.display.end(event.stage, "restored from DVC's cache")

    def end_stages_before(self, job: Job, stage: str) -> None:
        """DVC has gone on to `stage`, so those before it in the chain are recorded in dvc.lock."""
        if stage in job.stages:
            for name in job.stages[:job.stages.index(stage)]:
                self.end_stage(name)

    def end_stage(self, name: str) -> None:
        self.schedule.done(name)
        if name in self.began:
            self.seconds[name] = round(time.monotonic() - self.began.pop(name), 2)
            self.display.end(name, "done")

    def conclude(self, job: Job) -> None:
        """A job has ended: its slot is free, and its stages are done, or one of them failed."""
        self.selector.unregister(job.output)
        self.jobs.remove(job)
        self.free += job.slots
        code = job.close()
        if code == 0:
            for name in job.stages:
                self.end_stage(name)
            return
        failed = job.failed_stage if job.failed_stage in job.stages else job.current
        self.end_stages_before(job, failed)
        self.began.pop(failed, None)
        self.schedule.fail(failed)
        self.failures.append(f"{failed} failed: {job.reason(code)} (its output: {job.log})")
        self.display.end(failed, "FAILED")
        self.display.say(self.failures[-1])


def run(plan: Plan, slots: Sequence[str | None], flags: Sequence[str], devices: int = 1) -> list[str]:
    """Run what `plan` has to run; returns the stages that ran or were restored. Raises AigcError.

    slots, flags, devices: as for Runner.
    """
    with process.only_writer(ONLY_ONE, patience=0), _order_kept(plan), Display() as display:
        runner = Runner(plan, slots, flags, display, devices)
        runner.run()
        return [name for name in plan.order if name in runner.made]


@contextmanager
def _order_kept(plan: Plan) -> Iterator[None]:
    """Afterwards dvc.lock lists the stages as one `dvc repro` adds them, not in the order of their ends.

    What was there before is noted on disk until a run ends well, so that the run after a kill finds it.
    """
    noted = _noted_order()
    before = list(_entries()) if noted is None else noted
    files.write_json(ORDER, before)
    try:
        yield
    finally:
        lockfile.arrange(before, plan.order)
    ORDER.unlink(missing_ok=True)


def forget_order() -> None:
    """Everything is up to date: no run is to be gone on with."""
    ORDER.unlink(missing_ok=True)


def _noted_order() -> list[str] | None:
    """What a run that did not end well had noted, if dvc.lock has grown from that."""
    try:
        noted: list[str] = json.loads(ORDER.read_bytes())
    except (OSError, ValueError):
        return None
    return noted if list(_entries())[:len(noted)] == noted else None


def _entries() -> dict[str, str]:
    return lockfile.entries(LOCK.read_text(encoding="utf-8")) if LOCK.exists() else {}
