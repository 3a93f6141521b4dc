"""One trial: a training and its evaluation for each seed, in the trial's own worktree, by `aigc repro`."""

import json
import subprocess
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from statistics import fmean
from typing import Any

from aigc.core import config, files, paths, process
from aigc.core.errors import AigcError
from aigc.metrics.table import METRICS
from aigc.reproduction import checkout
from aigc.reproduction.metric_comparison import values
from aigc.sweep.checkouts import A_DAY, Checkouts, command
from aigc.sweep.space import Point
from aigc.workspace.trial import CURVE, PRUNED, SWEEP, TRIAL

POLL_SECONDS = 1.0
PARTS = 10  # of a training, at each of which a trial can be pruned
TAIL = 4000  # bytes of a log in which the reason of a failure stands
Report = Callable[[int, float], bool]  # (part of the training, FID) -> whether to prune


class TrialFailed(AigcError):
    """A trial has no result: its training diverged, its settings contradict one another, the disk is full."""


class Pruned(AigcError):
    """A trial was stopped, because at the same part of the training others were better."""


class Runner:
    """Runs the trials of one worker in turn."""

    def __init__(self, checkouts: Checkouts) -> None:
        self.checkouts = checkouts
        self.space = checkouts.space
        self.first_seed: int = config.read()["train"]["seed"]

    def run(self, index: int, point: Point, report: Report | None = None) -> list[dict[str, Any]]:
        """The results of each seed: {"metrics": {name: value}, "passes": bool}.

        Those of an earlier run of these settings, which was killed, are kept. Raises TrialFailed
        (the worktree stays for another try) or Pruned.
        """
        place = self.checkouts.place(point)
        with process.only_writer(place / "lock", patience=A_DAY):
            found = []
            for seed in range(self.first_seed, self.first_seed + self.space.seeds):
                kept = place / f"seed-{seed}.json"
                if not kept.exists():
                    try:
                        files.write_json(kept, self._make(place, index, point, seed, report))
                    except Pruned:
                        self.checkouts.remove(place)
                        raise
                found.append(files.read_json(kept))
                report = None  # the first seed alone decides
            self.checkouts.remove(place)
        return found

    def _make(self, place: Path, index: int, point: Point, seed: int,
              report: Report | None) -> dict[str, Any]:
        was_there = (place / "made").exists()
        try:
            tree = self.checkouts.make(place)
            self.checkouts.write_params(tree, point, seed)
        except AigcError as error:
            raise TrialFailed(str(error)) from None
        log, curve = place / "log.txt", place / f"curve-{seed}.jsonl"
        variables = {**checkout.our_environment(), SWEEP: self.space.name, TRIAL: str(index),
                     CURVE: str(curve)}
        with log.open("ab") as stream:
            def call(*words: str) -> "subprocess.Popen[bytes]":
                return subprocess.Popen(command(*words), cwd=tree, env=variables, stdout=stream,
                                        stderr=stream, stdin=subprocess.DEVNULL, start_new_session=True)

            if was_there:  # a kill may have left locks of DVC's
                _wait(call, "mend")
            begun = log.stat().st_size
            code = _wait(call, "repro", f"evaluate@{self.space.method}", watch=_watcher(curve, report))
        if code:
            with log.open("rb") as written:
                written.seek(max(begun, log.stat().st_size - TAIL))
                raise TrialFailed(f"{process.reason(written.read()).removeprefix('error: ')}; see {log}")
        content = files.read_json(tree / paths.metrics(self.space.method))
        numbers = values(content)
        missing = [name for name in self.space.objectives if name not in numbers]
        if missing:
            raise TrialFailed(f"its evaluation has no {', '.join(missing)}")
        names = {metric.name for metric in METRICS}
        return {"metrics": {name: value for name, value in numbers.items() if name in names},
                "passes": bool(numbers["memorization/passes"])}


def _wait(call: Callable[..., "subprocess.Popen[bytes]"], *words: str,
          watch: Callable[[], None] = lambda: None) -> int:
    """Start a command, call `watch` while it runs, and return its exit code. No process is left."""
    with process.uninterrupted():
        child = call(*words)
    try:
        while True:
            with suppress(subprocess.TimeoutExpired):
                return child.wait(POLL_SECONDS)
            watch()
    finally:
        if child.poll() is None:
            process.end_sessions([child])


def _watcher(curve: Path, report: Report | None) -> Callable[[], None]:
    """What looks at the curve of a training, and raises Pruned where `report` says so."""
    seen: set[int] = set()

    def watch() -> None:
        for part, fid in points(curve):
            if report is not None and part not in seen:
                seen.add(part)
                if report(part, fid):
                    reason = f"FID {fid:g} on the holdout after {part} of {PARTS} parts of its training"
                    files.write_json(curve.with_suffix(PRUNED), reason)
                    raise Pruned(reason)

    return watch


def points(curve: Path) -> Iterator[tuple[int, float]]:
    """(part of the training that is done, FID on the holdout) of each line that a training wrote."""
    with suppress(OSError):
        for line in curve.read_text().splitlines():
            with suppress(ValueError, KeyError, TypeError):  # a line that a kill cut
                content = json.loads(line)
                yield int(PARTS * content["step"] / content["steps"]), float(content["fid"])


def means(found: list[dict[str, Any]], objectives: tuple[str, ...]) -> list[float]:
    """Each objective's mean over seeds."""
    return [fmean(seed["metrics"][name] for seed in found) for name in objectives]
