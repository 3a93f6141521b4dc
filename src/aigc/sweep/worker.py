"""A worker of a sweep: takes trials from the queue until all have ended, also those of dead workers.

Any number of workers, on any hosts, share one database. Each computes one trial at a time.
"""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState

from aigc.core.errors import AigcError
from aigc.sweep import study as sweeps
from aigc.sweep.space import Point, Space
from aigc.sweep.storage import INDEX, MISSED, PatientStorage, requeue
from aigc.sweep.study import AUDIT, REASON, SEEDS, WORKER
from aigc.sweep.trial import Pruned, Report, TrialFailed, means

POLL_SECONDS = 2.0  # between looks at the trials of other workers
MOST_FAILURES = 3  # one after another, after which a worker stops: what they have in common is no setting
Run = Callable[[int, Point, Report | None], list[dict[str, Any]]]


class Surplus(Exception):
    """A trial that nobody asked for: its number has a result, or none."""


@dataclass
class Worker:
    """One worker. run: computes a trial. name: of this worker, for people."""

    study: Study
    space: Space
    storage: PatientStorage
    run: Run
    name: str
    failures: int = 0

    def work(self) -> None:
        """Run trials until all of the sweep have ended. Raises AigcError after several failures in a row."""
        is_told = False
        while True:
            self.take_over()
            trials = self.study.get_trials(deepcopy=False)
            if any(trial.state == TrialState.WAITING for trial in trials):
                self.one(trials)
            elif running := [trial for trial in trials if trial.state == TrialState.RUNNING]:
                if not is_told:
                    is_told = True
                    print(f"{self.name}: waits for {len(running)} trials of other workers, in case one is "
                          "killed", flush=True)
                time.sleep(POLL_SECONDS)
            else:
                return

    def take_over(self) -> None:
        """Queue again each trial whose worker is gone."""
        optuna.storages.fail_stale_trials(self.study)
        trials = self.study.get_trials(deepcopy=False)
        grace = MISSED * (self.storage.get_heartbeat_interval() or 0)
        for trial in trials:
            if trial.state == TrialState.RUNNING and WORKER not in trial.user_attrs and trial.datetime_start \
                    and (datetime.now() - trial.datetime_start).total_seconds() > grace:
                # Its worker was killed before the first heartbeat, so Optuna never takes it for stale.
                self.end(trial)
        for trial in sweeps.by_index(self.study.get_trials(deepcopy=False)).values():
            if sweeps.is_lost(trial):  # a worker was killed between failing it and queueing it again
                requeue(self.study, trial)

    def end(self, trial: FrozenTrial) -> None:
        try:
            self.study.tell(trial.number, state=TrialState.FAIL)
        except (ValueError, UpdateFinishedTrialError):
            return  # another worker did

    def one(self, trials: list[FrozenTrial]) -> None:
        """Take one trial from the queue and run it."""
        finished = sum(trial.state in (TrialState.COMPLETE, TrialState.PRUNED) for trial in trials)
        self.study.sampler = sweeps.sampler(self.space, finished)
        current: list[Trial] = []

        def objective(trial: Trial) -> list[float]:
            current.append(trial)
            return self.objective(trial)

        try:
            self.study.optimize(objective, n_trials=1, catch=(TrialFailed, Surplus))
        except KeyboardInterrupt:  # Ctrl-C, SIGTERM: somebody else, or a later start, goes on with it
            if current:
                requeue(self.study, self.frozen(current[0]))
            raise
        except (ValueError, AssertionError, UpdateFinishedTrialError):
            # It was away for so long that others took the trial for dead and queued it again.
            if not current or self.frozen(current[0]).state == TrialState.RUNNING:
                raise

    def frozen(self, trial: Trial) -> FrozenTrial:
        return next(one for one in self.study.get_trials() if one.number == trial.number)

    def objective(self, trial: Trial) -> list[float]:
        """The values of one trial. Raises TrialFailed, TrialPruned, or Surplus."""
        index = trial.user_attrs.get(INDEX)
        trial.set_user_attr(WORKER, self.name)
        counted = sweeps.by_index(self.study.get_trials(deepcopy=False)).get(-1 if index is None else index)
        if index is None or (counted and counted.number != trial.number and counted.state in (
                TrialState.COMPLETE, TrialState.PRUNED)):
            trial.set_user_attr(REASON, "surplus")
            raise Surplus
        point = sweeps.suggest(trial, self.space)
        started = time.monotonic()
        try:
            found = self.run(index, point, self.reporter(trial) if self.space.prune else None)
        except TrialFailed as error:
            trial.set_user_attr(REASON, str(error))
            self.say(index, point, f"failed: {error}")
            self.failures += 1
            if self.failures >= MOST_FAILURES:
                raise AigcError(f"{self.failures} trials in a row failed, the last one: {error}") from None
            raise
        except Pruned as error:
            trial.set_user_attr(REASON, str(error))
            self.say(index, point, f"pruned: {error}")
            raise optuna.TrialPruned(str(error)) from None
        self.failures = 0
        trial.set_user_attr(SEEDS, [seed["metrics"] for seed in found])
        trial.set_user_attr(AUDIT, all(seed["passes"] for seed in found))
        values = means(found, self.space.objectives)
        numbers = ", ".join(f"{name} {value:.4g}"
                            for name, value in zip(self.space.objectives, values, strict=True))
        warning = "" if all(seed["passes"] for seed in found) else "; fails the memorization audit"
        self.say(index, point, f"{numbers}{warning} ({time.monotonic() - started:.0f} s)")
        return values

    def reporter(self, trial: Trial) -> Report:
        def report(part: int, fid: float) -> bool:
            trial.report(fid, part)
            return trial.should_prune()

        return report

    def say(self, index: int, point: Mapping[str, Any], text: str) -> None:
        print(f"trial {index} ({', '.join(f'{key} {value}' for key, value in point.items())}): {text}",
              flush=True)


def name() -> str:
    """This worker for people: host and process."""
    import platform

    return f"{platform.node() or 'worker'}:{os.getpid()}"
